import Box from '@mui/material/Box';
import LinearProgress from '@mui/material/LinearProgress';
import Typography from '@mui/material/Typography';
import { useDeferredValue } from 'react';
import { useI18n } from '../i18n/I18nProvider';
import { ErrorNotice } from '../shell/ErrorNotice';
import { CitationChips } from './CitationChips';
import { Markdown } from './Markdown';
import { Notices } from './Notices';
import { hasEnded, type Run } from './run';

/** The answer that is under way as far as it has come; once it is whole, it stands among the messages. */
export function RunView({ run, onRetry }: { run: Run; onRetry: () => void }) {
  const { t } = useI18n();
  // Parsing Markdown must not hold up typing; React may show a slightly older text while the person types.
  const text = useDeferredValue(run.text);
  return (
    <>
      {!run.message && (
        <Box
          component="article"
          aria-label={t('assistant')}
          aria-busy={!hasEnded(run)}
          data-testid="message-streaming"
          sx={{ my: 2 }}
        >
          <Notices notices={run.notices} />
          <Markdown text={text} />
          <CitationChips citations={run.citations} />
        </Box>
      )}
      <Box role="status" sx={{ minHeight: 24 }}>
        {run.phase === 'waiting' && <LinearProgress aria-label={t('waiting')} sx={{ maxWidth: 160 }} />}
        {run.phase === 'reconnecting' && (
          <Typography variant="body2" color="textSecondary">
            {t('reconnecting')}
          </Typography>
        )}
      </Box>
      {run.phase === 'failed' && <ErrorNotice error={run.error} onRetry={onRetry} />}
    </>
  );
}
