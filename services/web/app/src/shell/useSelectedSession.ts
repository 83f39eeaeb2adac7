import { useCallback, useSyncExternalStore } from 'react';

/** The open conversation is the address (`/c/<id>`), so that back, reload and bookmarks do what people expect. */
export function useSelectedSession(): [string | null, (id: string | null) => void] {
  const path = useSyncExternalStore(subscribe, () => window.location.pathname);
  const select = useCallback((id: string | null) => {
    window.history.pushState(null, '', id ? `/c/${id}` : '/');
    window.dispatchEvent(new PopStateEvent('popstate'));
  }, []);
  return [/^\/c\/([\w-]+)$/.exec(path)?.[1] ?? null, select];
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('popstate', listener);
  return () => window.removeEventListener('popstate', listener);
}
