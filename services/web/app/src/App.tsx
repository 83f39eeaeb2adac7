import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { ApiClient } from './api/ApiClient';
import { SignInPage } from './auth/SignInPage';
import { ChatPage } from './chat/ChatPage';
import type { RunStore } from './chat/RunStore';

interface AppProps {
  api: ApiClient;
  runs: RunStore;
}

type SignIn = 'in' | 'out' | 'ended';

export function App({ api, runs }: AppProps) {
  const queries = useQueryClient();
  const [signIn, setSignIn] = useState<SignIn>(api.mayResume ? 'in' : 'out');

  useEffect(
    () =>
      api.whenSignedOut(() => {
        runs.clearAll();
        queries.clear();
        setSignIn('ended');
      }),
    [api, runs, queries],
  );

  async function signOut() {
    runs.clearAll();
    await api.signOut();
    queries.clear();
    window.history.replaceState(null, '', '/');
    setSignIn('out');
  }

  return signIn === 'in' ? (
    <ChatPage api={api} runs={runs} onSignOut={() => void signOut()} />
  ) : (
    <SignInPage api={api} notice={signIn === 'ended'} onSignedIn={() => setSignIn('in')} />
  );
}
