import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useSyncExternalStore } from 'react';
import type { ApiClient } from '../api/ApiClient';
import type { Message, Page } from '../api/types';
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

const unfinished = new Set(['pending', 'running', 'streaming', 'queued']);
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
  const stored = query.data;

  const { refetch } = query;
  const settled = run?.phase === 'done';
  useEffect(() => {
    if (!settled) return;
    void queries.invalidateQueries({ queryKey: ['sessions'] });
    refetch({ throwOnError: true }).then(
      () => {
        // A new question may have been asked while the list was loading.
        if (runs.get(sessionId)?.phase === 'done') runs.clear(sessionId);
      },
      () => undefined, // The run itself still shows the answer.
    );
  }, [settled, queries, refetch, runs, sessionId]);

  const last = stored?.at(-1);
  const lastRunId = isUnfinished(last) ? last?.runId : undefined;
  useEffect(() => {
    if (!lastRunId || !stored) return;
    const question = stored.findLastIndex((message) => message.role === 'user');
    void runs.attach(sessionId, lastRunId, stored[question]?.content ?? '', stored[question - 1]?.id ?? null);
  }, [lastRunId, stored, runs, sessionId]);

  const shown = run ? until(stored ?? [], run.afterId) : (stored ?? []);
  const lastId = shown.at(-1)?.id ?? null;
  const send = useCallback(
    (text: string) => {
      if (run && !hasEnded(run)) return;
      // What a failed run left behind in the conversation is shown again from the store.
      const afterId = run ? (queries.getQueryData<Message[]>(['messages', sessionId])?.at(-1)?.id ?? null) : lastId;
      void runs.send(sessionId, text, afterId);
    },
    [run, runs, sessionId, lastId, queries],
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
  // Ids are time-ordered (UUIDv7), whichever way the pages came.
  return messages.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function isUnfinished(message: Message | undefined): boolean {
  return message?.role === 'assistant' && unfinished.has(message.status);
}

function until(messages: Message[], id: string | null): Message[] {
  return id === null ? [] : messages.slice(0, messages.findIndex((message) => message.id === id) + 1);
}
