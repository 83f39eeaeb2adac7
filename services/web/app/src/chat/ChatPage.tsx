import AppBar from '@mui/material/AppBar';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Drawer from '@mui/material/Drawer';
import FormControlLabel from '@mui/material/FormControlLabel';
import IconButton from '@mui/material/IconButton';
import Stack from '@mui/material/Stack';
import Switch from '@mui/material/Switch';
import Toolbar from '@mui/material/Toolbar';
import Typography from '@mui/material/Typography';
import useMediaQuery from '@mui/material/useMediaQuery';
import { useState } from 'react';
import type { ApiClient } from '../api/ApiClient';
import type { Session, SessionConfig } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';
import { DocumentsDialog } from '../knowledge/DocumentsDialog';
import { ErrorNotice } from '../shell/ErrorNotice';
import { DocumentIcon, MenuIcon } from '../shell/icons';
import { LanguageSwitch } from '../shell/LanguageSwitch';
import { useSelectedSession } from '../shell/useSelectedSession';
import { Composer } from './Composer';
import { Conversation } from './Conversation';
import { ModelSelect } from './ModelSelect';
import type { RunStore } from './RunStore';
import { RemoveDialog, RenameDialog } from './SessionDialogs';
import { SessionList } from './SessionList';
import { useSessions } from './useSessions';
import { Welcome } from './Welcome';

const drawerWidth = 288;
const titleLength = 60;

interface ChatPageProps {
  api: ApiClient;
  runs: RunStore;
  onSignOut: () => void;
}

export function ChatPage({ api, runs, onSignOut }: ChatPageProps) {
  const { t } = useI18n();
  const wide = useMediaQuery('(min-width:900px)');
  const [drawerOpen, setDrawerOpen] = useState(false);
  const [documentsOpen, setDocumentsOpen] = useState(false);
  const [configForNew, setConfigForNew] = useState<SessionConfig>({ useKnowledge: false });
  const [renaming, setRenaming] = useState<Session | null>(null);
  const [removing, setRemoving] = useState<Session | null>(null);
  const [selected, select] = useSelectedSession();
  const { list, sessions, create, rename, configure, remove } = useSessions(api);
  const current = sessions.find((session) => session.id === selected);
  const error = list.error ?? create.error ?? rename.error ?? configure.error ?? remove.error;

  function open(id: string | null) {
    select(id);
    setDrawerOpen(false);
  }

  const config = current?.config ?? configForNew;
  function change(changed: SessionConfig) {
    if (current) configure.mutate({ id: current.id, config: changed });
    else setConfigForNew({ ...configForNew, ...changed });
  }

  const modelSelect = (current ?? !selected) && (
    <ModelSelect api={api} value={config.model} onChange={(model) => change({ model })} />
  );

  /** A question asked without a conversation begins one and names it. */
  async function begin(question: string) {
    const session = await create.mutateAsync({
      title: question.slice(0, titleLength),
      config: configForNew,
    });
    open(session.id);
    void runs.send(session.id, question, null);
  }

  return (
    <Box sx={{ display: 'flex', height: '100dvh' }}>
      <Drawer
        variant={wide ? 'permanent' : 'temporary'}
        open={wide || drawerOpen}
        onClose={() => setDrawerOpen(false)}
        sx={{ width: wide ? drawerWidth : 0, '& .MuiDrawer-paper': { width: drawerWidth } }}
      >
        <SessionList
          sessions={sessions}
          selected={selected}
          hasMore={list.hasNextPage}
          creating={create.isPending}
          onMore={() => void list.fetchNextPage()}
          onCreate={() => open(null)}
          onSelect={open}
          onRename={setRenaming}
          onRemove={setRemoving}
        />
        <Stack direction="row" sx={{ p: 2, justifyContent: 'space-between', borderTop: 1, borderColor: 'divider' }}>
          <LanguageSwitch />
          <Button onClick={onSignOut}>{t('signOut')}</Button>
        </Stack>
      </Drawer>

      <Box component="main" sx={{ flex: 1, minWidth: 0, display: 'flex', flexDirection: 'column' }}>
        <AppBar position="static" color="transparent" elevation={0} sx={{ borderBottom: 1, borderColor: 'divider' }}>
          <Toolbar variant="dense" sx={{ gap: 1 }}>
            {!wide && (
              <IconButton edge="start" aria-label={t('openMenu')} onClick={() => setDrawerOpen(true)}>
                <MenuIcon />
              </IconButton>
            )}
            <Typography component="h1" variant="subtitle1" noWrap sx={{ flex: 1 }} data-testid="conversation-title">
              {current ? (current.title ?? t('untitled')) : t('appName')}
            </Typography>
            {(current ?? !selected) && (
              <FormControlLabel
                control={
                  <Switch
                    size="small"
                    checked={config.useKnowledge === true}
                    onChange={(_, useKnowledge) => change({ useKnowledge })}
                    slotProps={{ input: { role: 'switch' } }}
                  />
                }
                label={t('useDocuments')}
                slotProps={{ typography: { variant: 'body2' } }}
              />
            )}
            <IconButton aria-label={t('documents')} onClick={() => setDocumentsOpen(true)}>
              <DocumentIcon />
            </IconButton>
          </Toolbar>
        </AppBar>
        {error && <ErrorNotice error={error} onRetry={() => void list.refetch()} />}
        {selected ? (
          <Conversation key={selected} api={api} runs={runs} sessionId={selected} composerFooter={modelSelect} />
        ) : (
          <>
            <Box sx={{ flex: 1 }}>
              <Welcome />
            </Box>
            <Composer
              running={create.isPending}
              stopping
              onSend={begin}
              onStop={() => undefined}
              footer={modelSelect}
            />
          </>
        )}
      </Box>

      <DocumentsDialog api={api} open={documentsOpen} onClose={() => setDocumentsOpen(false)} />
      {renaming && (
        <RenameDialog
          session={renaming}
          onClose={() => setRenaming(null)}
          onConfirm={(title) => {
            rename.mutate({ id: renaming.id, title });
            setRenaming(null);
          }}
        />
      )}
      {removing && (
        <RemoveDialog
          session={removing}
          onClose={() => setRemoving(null)}
          onConfirm={() => {
            remove.mutate(removing.id);
            runs.clear(removing.id);
            setRemoving(null);
            if (removing.id === selected) select(null);
          }}
        />
      )}
    </Box>
  );
}
