import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import IconButton from '@mui/material/IconButton';
import List from '@mui/material/List';
import ListItem from '@mui/material/ListItem';
import ListItemButton from '@mui/material/ListItemButton';
import ListItemText from '@mui/material/ListItemText';
import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import type { Session } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';
import { AddIcon, MoreIcon } from '../shell/icons';

interface SessionListProps {
  sessions: Session[];
  selected: string | null;
  hasMore: boolean;
  creating: boolean;
  onMore: () => void;
  onCreate: () => void;
  onSelect: (id: string) => void;
  onRename: (session: Session) => void;
  onRemove: (session: Session) => void;
}

export function SessionList(props: SessionListProps) {
  const { sessions, selected, hasMore, creating, onMore, onCreate, onSelect, onRename, onRemove } = props;
  const { t } = useI18n();
  const [menu, setMenu] = useState<{ anchor: HTMLElement; session: Session } | null>(null);
  const titleOf = (session: Session) => session.title ?? t('untitled');

  function choose(action: (session: Session) => void) {
    if (menu) action(menu.session);
    setMenu(null);
  }

  return (
    <Box component="nav" aria-label={t('conversations')} sx={{ flex: 1, overflowY: 'auto' }}>
      <Box sx={{ p: 2, pb: 1 }}>
        <Button
          fullWidth
          variant="outlined"
          startIcon={<AddIcon />}
          onClick={onCreate}
          loading={creating}
          data-testid="new-conversation"
        >
          {t('newConversation')}
        </Button>
      </Box>
      {sessions.length === 0 && (
        <Typography variant="body2" color="textSecondary" sx={{ px: 2, py: 1 }}>
          {t('noConversations')}
        </Typography>
      )}
      <List dense>
        {sessions.map((session) => (
          <ListItem
            key={session.id}
            disablePadding
            data-testid="session"
            secondaryAction={
              <IconButton
                edge="end"
                size="small"
                aria-haspopup="menu"
                aria-label={t('actionsFor', { title: titleOf(session) })}
                onClick={(event) => setMenu({ anchor: event.currentTarget, session })}
              >
                <MoreIcon fontSize="small" />
              </IconButton>
            }
          >
            <ListItemButton
              selected={session.id === selected}
              aria-current={session.id === selected ? 'page' : undefined}
              onClick={() => onSelect(session.id)}
            >
              <ListItemText primary={titleOf(session)} slotProps={{ primary: { noWrap: true } }} />
            </ListItemButton>
          </ListItem>
        ))}
      </List>
      {hasMore && (
        <Button fullWidth onClick={onMore}>
          {t('more')}
        </Button>
      )}
      <Menu open={menu !== null} anchorEl={menu?.anchor ?? null} onClose={() => setMenu(null)}>
        <MenuItem onClick={() => choose(onRename)}>{t('rename')}</MenuItem>
        <MenuItem onClick={() => choose(onRemove)}>{t('remove')}</MenuItem>
      </Menu>
    </Box>
  );
}
