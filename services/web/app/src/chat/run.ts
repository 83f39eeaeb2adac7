import { ApiError } from '../api/ApiError';
import type { StreamEvent } from '../api/EventStreamParser';
import type { Citation, Message, Notice } from '../api/types';

export type RunPhase = 'waiting' | 'streaming' | 'reconnecting' | 'done' | 'failed';

/** One assistant turn as the person sees it while it grows. */
export interface Run {
  phase: RunPhase;
  question: string;
  /** The last stored message when the run began; everything after it is shown from the run until it has ended. */
  afterId: string | null;
  runId: string | null;
  /** The reply being written; known once the run is open. */
  messageId: string | null;
  seq: number;
  text: string;
  citations: Citation[];
  notices: Notice[];
  stopping: boolean;
  message: Message | null;
  error: ApiError | null;
}

export function newRun(question: string, afterId: string | null, runId: string | null = null): Run {
  return {
    phase: 'waiting',
    question,
    afterId,
    runId,
    messageId: null,
    // Sequence numbers may begin at 0, so "nothing seen yet" has to be below it.
    seq: -1,
    text: '',
    citations: [],
    notices: [],
    stopping: false,
    message: null,
    error: null,
  };
}

export function hasEnded(run: Run): boolean {
  return run.phase === 'done' || run.phase === 'failed';
}

/** Folds one event of the run's log into what is shown. Events already seen (a replay overlaps) change nothing. */
export function applyEvent(run: Run, event: StreamEvent): Run {
  const data = parse(event.data);
  if (!data || hasEnded(run)) return run;
  if (typeof data.seq === 'number') {
    if (data.seq <= run.seq) return run;
    run = { ...run, seq: data.seq };
  }
  if (run.phase === 'reconnecting') run = { ...run, phase: run.text === '' ? 'waiting' : 'streaming' };

  switch (event.name) {
    case 'run':
      return { ...run, runId: textOf(data.runId) ?? run.runId, messageId: textOf(data.messageId) ?? run.messageId };
    case 'token':
      return typeof data.text === 'string' ? { ...run, phase: 'streaming', text: run.text + data.text } : run;
    case 'citation':
      return isCitation(data) ? { ...run, citations: [...run.citations, data] } : run;
    case 'notice': {
      const { code, text, content } = data;
      const count = typeof data.count === 'number' ? data.count : null;
      // Some notices replace the text, where what was shown so far no longer holds.
      const next = typeof content === 'string' ? { ...run, text: content } : run;
      return typeof code === 'string' && typeof text === 'string'
        ? { ...next, notices: [...run.notices, { code, text, count }] }
        : next;
    }
    case 'done':
      return { ...run, phase: 'done', message: (data.message as Message | undefined) ?? null };
    case 'error':
      return { ...run, phase: 'failed', error: failure(data) };
    default:
      return run;
  }
}

function parse(data: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isCitation(data: object): data is Citation {
  return 'documentId' in data && 'text' in data && 'title' in data;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function failure(data: Record<string, unknown>): ApiError {
  return new ApiError(500, textOf(data.title) ?? 'Run failed', textOf(data.detail), textOf(data.traceId));
}
