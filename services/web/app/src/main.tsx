import CssBaseline from '@mui/material/CssBaseline';
import { ThemeProvider } from '@mui/material/styles';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiClient } from './api/ApiClient';
import { ApiError } from './api/ApiError';
import { App } from './App';
import { RunStore } from './chat/RunStore';
import { I18nProvider } from './i18n/I18nProvider';
import { theme } from './shell/theme';

const api = new ApiClient();
const runs = new RunStore(api);
const queries = new QueryClient({
  defaultOptions: {
    // A refusal stays a refusal; only what may pass by itself is tried again.
    queries: {
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

const root = document.getElementById('root');
if (!root) throw new Error('The page has no root element');
createRoot(root).render(
  <StrictMode>
    <ThemeProvider theme={theme}>
      <CssBaseline />
      <QueryClientProvider client={queries}>
        <I18nProvider>
          <App api={api} runs={runs} />
        </I18nProvider>
      </QueryClientProvider>
    </ThemeProvider>
  </StrictMode>,
);
