import Box from '@mui/material/Box';
import IconButton from '@mui/material/IconButton';
import InputBase from '@mui/material/InputBase';
import Paper from '@mui/material/Paper';
import Typography from '@mui/material/Typography';
import { useId, useState, type KeyboardEvent, type ReactNode } from 'react';
import { useI18n } from '../i18n/I18nProvider';
import { SendIcon, StopIcon } from '../shell/icons';
import { isImeComposing } from './isImeComposing';

interface ComposerProps {
  running: boolean;
  stopping: boolean;
  /** When what it returns is rejected, the text comes back: it is never lost. */
  onSend: (text: string) => void | Promise<void>;
  onStop: () => void;
  /** Stands below the text. */
  footer?: ReactNode;
}

/** Where a message is written. The person can go on typing while an answer is under way. */
export function Composer({ running, stopping, onSend, onStop, footer }: ComposerProps) {
  const { t } = useI18n();
  const [text, setText] = useState('');
  const hint = useId();

  async function send() {
    const message = text.trim();
    if (message === '' || running) return;
    setText('');
    try {
      await onSend(message);
    } catch {
      setText((typed) => (typed === '' ? message : typed));
    }
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== 'Enter' || event.shiftKey || isImeComposing(event.nativeEvent)) return;
    event.preventDefault();
    void send();
  }

  return (
    <Box sx={{ px: 2, pb: 'max(12px, env(safe-area-inset-bottom))', pt: 1 }}>
      <Paper
        component="form"
        variant="outlined"
        aria-label={t('messageLabel')}
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
        sx={{ display: 'flex', alignItems: 'flex-end', gap: 1, p: 1, maxWidth: 860, mx: 'auto', borderRadius: 3 }}
      >
        <InputBase
          multiline
          fullWidth
          maxRows={10}
          value={text}
          placeholder={t('messagePlaceholder')}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          inputProps={{ 'aria-label': t('messageLabel'), 'aria-describedby': hint, 'data-testid': 'composer' }}
          sx={{ px: 1, py: 1 }}
        />
        {running ? (
          <IconButton color="primary" aria-label={t('stop')} onClick={onStop} disabled={stopping} data-testid="stop">
            <StopIcon />
          </IconButton>
        ) : (
          <IconButton
            color="primary"
            type="submit"
            aria-label={t('send')}
            disabled={text.trim() === ''}
            data-testid="send"
          >
            <SendIcon />
          </IconButton>
        )}
      </Paper>
      <Box sx={{ display: 'flex', alignItems: 'center', gap: 2, maxWidth: 860, mx: 'auto', mt: 0.5, px: 1.5 }}>
        {footer}
        <Typography
          id={hint}
          variant="caption"
          color="textSecondary"
          sx={{ display: { xs: 'none', md: 'block' }, ml: 'auto' }}
        >
          {t('composerHint')}
        </Typography>
      </Box>
    </Box>
  );
}
