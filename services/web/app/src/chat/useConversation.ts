import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react';
import type { ApiClient } from '../api/ApiClient';
import type { Message, Page, Session } from '../api/types';
import { hasEnded, type Run } from './run';
import type { RunStore } from './RunStore';

interface Conversation {
  messages: Message[];
  run: Run | undefined;
  loading: boolean;
  error: unknown;
  reload: () => void;
  send: (text: string) => void;
}

const pollMs = 2_000;

/** The stored messages of one conversation with the run under way laid over them. */
export function useConversation(api: ApiClient, runs: RunStore, sessionId: string): Conversation {
  const queries = useQueryClient();
  const run = useSyncExternalStore(runs.subscribe, () => runs.get(sessionId));
  const query = useQuery({
    queryKey: ['messages', sessionId],
    queryFn: ({ signal }) => allMessages(api, sessionId, signal),
    // An answer this page cannot follow (it was started elsewhere) is looked at until it has ended.
    refetchInterval: ({ state }) => (!runs.get(sessionId) && isUnfinished(state.data?.at(-1)) ? pollMs : false),
  });
  const stored = useMemo(() => (query.data ? activeBranch(query.data) : undefined), [query.data]);

  const { refetch } = query;
  const settled = run?.phase === 'done';
  useEffect(() => {
    if (!settled) return;
    void queries.invalidateQueries({ queryKey: ['sessions'] });
    // A list asked for before the answer was stored may still be on its way, and would be taken for the new one.
    const refresh = queries
      .cancelQueries({ queryKey: ['messages', sessionId] })
      .then(() => refetch({ throwOnError: true }));
    refresh.then(
      () => {
        // A new question may have been asked while the list was loading.
        if (runs.get(sessionId)?.phase === 'done') runs.clear(sessionId);
      },
      () => undefined, // The run itself still shows the answer.
    );
  }, [settled, queries, refetch, runs, sessionId]);

  const unfinished = isUnfinished(stored?.at(-1));
  useEffect(() => {
    if (!unfinished || !stored || runs.get(sessionId)) return;
    const question = stored.findLastIndex((message) => message.role === 'user');
    api.get<Session>(`/api/sessions/${sessionId}`).then(
      ({ activeRunId }) => {
        if (!activeRunId) return;
        void runs.attach(sessionId, activeRunId, stored[question]?.content ?? '', stored[question - 1]?.id ?? null);
      },
      () => undefined, // The list is asked again soon anyway.
    );
  }, [unfinished, stored, api, runs, sessionId]);

  const shown = run ? until(stored ?? [], run.afterId) : (stored ?? []);
  const lastId = shown.at(-1)?.id ?? null;
  const send = useCallback(
    (text: string) => {
      if (run && !hasEnded(run)) return;
      void runs.send(sessionId, text, lastId);
    },
    [run, runs, sessionId, lastId],
  );

  return {
    messages: shown,
    run,
    loading: query.isPending,
    error: query.error,
    reload: () => void refetch(),
    send,
  };
}

async function allMessages(api: ApiClient, sessionId: string, signal: AbortSignal): Promise<Message[]> {
  const messages: Message[] = [];
  let cursor: string | null = null;
  do {
    const query = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page<Message> = await api.get(`/api/sessions/${sessionId}/messages?limit=100${query}`, signal);
    messages.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return messages;
}

/** Messages, oldest first, form a tree; what is shown is the way from its newest leaf to the root. */
export function activeBranch(messages: Message[]): Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const parents = new Set(messages.map((message) => message.parentId));
  const branch: Message[] = [];
  let next = messages.findLast((message) => !parents.has(message.id));
  while (next && branch.length < messages.length) {
    branch.unshift(next);
    next = next.parentId ? byId.get(next.parentId) : undefined;
  }
  return branch;
}

function isUnfinished(message: Message | undefined): boolean {
  return message?.status === 'streaming';
}

function until(messages: Message[], id: string | null): Message[] {
  return id === null ? [] : messages.slice(0, messages.findIndex((message) => message.id === id) + 1);
}
