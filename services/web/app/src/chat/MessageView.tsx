import Box from '@mui/material/Box';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { memo } from 'react';
import type { Message } from '../api/types';
import { useI18n } from '../i18n/I18nProvider';
import type { Translate } from '../i18n/translate';
import { CopyButton } from '../shell/CopyButton';
import { CitationChips } from './CitationChips';
import { Markdown } from './Markdown';
import { Notices } from './Notices';

/** One stored message. */
export const MessageView = memo(function MessageView({ message }: { message: Message }) {
  const { t } = useI18n();
  if (message.role === 'user') return <UserBubble text={message.content} />;
  return (
    <Box component="article" aria-label={t('assistant')} data-testid="message-assistant" sx={{ my: 2 }}>
      <Notices notices={message.notices ?? []} />
      <Markdown text={message.content} />
      <CitationChips citations={message.citations ?? []} />
      <Stack direction="row" sx={{ alignItems: 'center', gap: 1, mt: 0.5, flexWrap: 'wrap' }}>
        <CopyButton label={t('copy')} text={() => message.content} />
        <Typography variant="caption" color="textSecondary" data-testid="message-facts">
          {facts(message, t).join(' · ')}
        </Typography>
      </Stack>
    </Box>
  );
});

export function UserBubble({ text }: { text: string }) {
  const { t } = useI18n();
  return (
    <Box component="article" aria-label={t('you')} data-testid="message-user" sx={{ display: 'flex', my: 2 }}>
      <Typography
        sx={{
          ml: 'auto',
          maxWidth: '85%',
          px: 2,
          py: 1,
          borderRadius: 3,
          bgcolor: 'action.selected',
          whiteSpace: 'pre-wrap',
          overflowWrap: 'anywhere',
        }}
      >
        {text}
      </Typography>
    </Box>
  );
}

function facts(message: Message, t: Translate): string[] {
  const { prompt, completion } = message.tokenCounts ?? {};
  const all = [
    message.model,
    typeof prompt === 'number' && typeof completion === 'number' ? t('tokens', { prompt, completion }) : null,
    typeof message.processingTimeMs === 'number'
      ? t('seconds', { seconds: (message.processingTimeMs / 1000).toFixed(1) })
      : null,
    message.status === 'failed' ? `${t('replyFailed')} ${message.error?.title ?? ''}`.trim() : null,
    message.status === 'stopped' ? t('stopped') : null,
  ];
  return all.filter((fact) => typeof fact === 'string');
}
