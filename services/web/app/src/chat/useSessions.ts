import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import type { ApiClient } from '../api/ApiClient';
import type { Page, Session, SessionConfig } from '../api/types';

const key = ['sessions'];

/** The person's conversations, newest first, and what can be done with them. */
export function useSessions(api: ApiClient) {
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: key });
  const list = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      api.get<Page<Session>>(
        `/api/sessions?limit=50${pageParam === null ? '' : `&cursor=${encodeURIComponent(pageParam)}`}`,
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
  });
  const create = useMutation({
    mutationFn: (session: { title: string; config: SessionConfig }) => api.post<Session>('/api/sessions', session),
    onSuccess: refresh,
  });
  const rename = useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) => api.patch<Session>(`/api/sessions/${id}`, { title }),
    onSuccess: refresh,
  });
  const configure = useMutation({
    mutationFn: ({ id, config }: { id: string; config: SessionConfig }) =>
      api.patch<Session>(`/api/sessions/${id}`, { config }),
    onSuccess: refresh,
  });
  const remove = useMutation({
    mutationFn: (id: string) => api.delete(`/api/sessions/${id}`),
    onSuccess: refresh,
  });
  return { list, sessions: list.data?.pages.flatMap((page) => page.items) ?? [], create, rename, configure, remove };
}
