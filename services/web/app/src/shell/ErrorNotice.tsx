import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { ApiError } from '../api/ApiError';
import type { TextKey } from '../i18n/en';
import { useI18n } from '../i18n/I18nProvider';

interface ErrorNoticeProps {
  error: unknown;
  onRetry?: (() => void) | undefined;
}

/** What went wrong in the person's language, what the service said about it, and a way to try again. */
export function ErrorNotice({ error, onRetry }: ErrorNoticeProps) {
  const { t } = useI18n();
  const api = error instanceof ApiError ? error : null;
  const fields = Object.values(api?.fields ?? {}).flat();
  const text = fields.length > 0 ? 'errorInvalid' : textFor(api);
  // Where nothing better is known, what the service called it.
  const unnamed = text === 'errorOther' ? api?.title : undefined;
  // The detail may be the one field's message.
  const lines = new Set([api?.detail ?? unnamed, ...fields].filter(Boolean));
  return (
    <Alert
      severity="error"
      action={
        onRetry && (
          <Button color="inherit" size="small" onClick={onRetry}>
            {t('retry')}
          </Button>
        )
      }
    >
      {t(text)}
      {[...lines].map((line) => (
        <Typography key={line} variant="body2">
          {line}
        </Typography>
      ))}
      {api?.traceId && (
        <Typography variant="caption" component="div" color="textSecondary">
          {t('errorTrace', { traceId: api.traceId })}
        </Typography>
      )}
    </Alert>
  );
}

function textFor(error: ApiError | null): TextKey {
  switch (error?.status) {
    case 0:
      return 'errorNetwork';
    case 400:
    case 422:
      return 'errorInvalid';
    case 404:
      return 'errorNotFound';
    case 413:
      return 'tooLarge';
    case 429:
      return 'errorLimited';
    case 502:
    case 503:
    case 504:
      return 'errorUnavailable';
    default:
      return 'errorOther';
  }
}
