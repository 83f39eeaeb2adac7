import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Link from '@mui/material/Link';
import Paper from '@mui/material/Paper';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useState, type SubmitEvent } from 'react';
import type { ApiClient } from '../api/ApiClient';
import { ApiError } from '../api/ApiError';
import { useI18n } from '../i18n/I18nProvider';
import { ErrorNotice } from '../shell/ErrorNotice';
import { LanguageSwitch } from '../shell/LanguageSwitch';

/** The auth service's default; it has the last word. */
const shortestPassword = 10;

interface SignInPageProps {
  api: ApiClient;
  notice: boolean;
  onSignedIn: () => void;
}

export function SignInPage({ api, notice, onSignedIn }: SignInPageProps) {
  const { t } = useI18n();
  const [registering, setRegistering] = useState(false);
  const [username, setUsername] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await (registering ? api.register(username, email, password) : api.signIn(username, password));
      onSignedIn();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  }

  const refused = error instanceof ApiError && error.status === 401;
  const action = t(registering ? 'register' : 'signIn');
  return (
    <Box component="main" sx={{ minHeight: '100dvh', display: 'grid', placeItems: 'center', p: 2 }}>
      <Paper variant="outlined" sx={{ p: 4, width: '100%', maxWidth: 400, borderRadius: 3 }}>
        <Stack component="form" spacing={2} onSubmit={submit} aria-label={action}>
          <Typography variant="h5" component="h1">
            {t('appName')}
          </Typography>
          {notice && !error && <Alert severity="info">{t('signedOut')}</Alert>}
          {refused && <Alert severity="error">{t('signInFailed')}</Alert>}
          {Boolean(error) && !refused && <ErrorNotice error={error} />}
          <TextField
            label={t('username')}
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            autoComplete="username"
            required
          />
          {registering && (
            <TextField
              label={t('email')}
              type="email"
              value={email}
              onChange={(event) => setEmail(event.target.value)}
              autoComplete="email"
              required
            />
          )}
          <TextField
            label={t('password')}
            type="password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            autoComplete={registering ? 'new-password' : 'current-password'}
            helperText={registering ? t('passwordHint', { length: shortestPassword }) : undefined}
            slotProps={{ htmlInput: registering ? { minLength: shortestPassword } : {} }}
            required
          />
          <Button type="submit" variant="contained" loading={busy}>
            {action}
          </Button>
          <Link
            component="button"
            type="button"
            onClick={() => {
              setRegistering(!registering);
              setError(null);
            }}
          >
            {t(registering ? 'toSignIn' : 'toRegister')}
          </Link>
          <LanguageSwitch />
        </Stack>
      </Paper>
    </Box>
  );
}
