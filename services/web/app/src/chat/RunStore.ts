import type { ApiClient } from '../api/ApiClient';
import { ApiError } from '../api/ApiError';
import { readEvents } from '../api/EventStreamParser';
import { applyEvent, hasEnded, newRun, type Run } from './run';

type Streams = Pick<ApiClient, 'stream' | 'post'>;

/** Longest pause between two attempts, and how many may fail in a row before the person is asked. */
const longestPauseMs = 5_000;
const attemptsInARow = 12;

/**
 * The runs of all conversations, outside React, because a run belongs to its conversation and goes on while the
 * person looks at another one. A broken connection is resumed from the last sequence number, never restarted.
 */
export class RunStore {
  private readonly runs = new Map<string, Run>();
  private readonly aborts = new Map<string, AbortController>();
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly api: Streams,
    private readonly pause: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get(sessionId: string): Run | undefined {
    return this.runs.get(sessionId);
  }

  /** Sends a message and follows its answer to the end; what happens on the way is in the run, not in an exception. */
  async send(sessionId: string, question: string, afterId: string | null): Promise<void> {
    const abort = this.begin(sessionId, newRun(question, afterId));
    await this.follow(sessionId, abort, () =>
      this.api.stream('POST', `/api/sessions/${sessionId}/messages`, { content: question }, abort.signal),
    );
  }

  /** Another answer to the question of a run that failed; asks the question again where it was never taken. */
  async retry(sessionId: string): Promise<void> {
    const run = this.runs.get(sessionId);
    if (!run || !hasEnded(run)) return;
    const { messageId, question, afterId } = run;
    if (!messageId) return this.send(sessionId, question, afterId);
    const abort = this.begin(sessionId, newRun(question, afterId));
    await this.follow(sessionId, abort, () =>
      this.api.stream('POST', `/api/messages/${messageId}/regenerate`, undefined, abort.signal),
    );
  }

  /** Joins a run that was already under way when the page was opened. */
  async attach(sessionId: string, runId: string, question: string, afterId: string | null): Promise<void> {
    if (this.runs.has(sessionId)) return;
    const abort = this.begin(sessionId, newRun(question, afterId, runId));
    await this.follow(sessionId, abort, () => this.resume(runId, -1, abort));
  }

  async stop(sessionId: string): Promise<void> {
    const run = this.runs.get(sessionId);
    if (!run || hasEnded(run)) return;
    this.set(sessionId, { ...run, stopping: true });
    if (!run.runId) {
      // Nothing has been admitted yet: leaving the request is all there is to stop.
      this.aborts.get(sessionId)?.abort();
      this.set(sessionId, { ...run, phase: 'done' });
      return;
    }
    try {
      // The end of the run arrives as an event like any other.
      await this.api.post(`/api/runs/${run.runId}/cancel`);
    } catch {
      const now = this.runs.get(sessionId);
      if (now) this.set(sessionId, { ...now, stopping: false });
    }
  }

  clear(sessionId: string): void {
    this.aborts.get(sessionId)?.abort();
    this.aborts.delete(sessionId);
    if (this.runs.delete(sessionId)) this.changed();
  }

  clearAll(): void {
    for (const sessionId of [...this.runs.keys()]) this.clear(sessionId);
  }

  private begin(sessionId: string, run: Run): AbortController {
    this.clear(sessionId);
    const abort = new AbortController();
    this.aborts.set(sessionId, abort);
    this.set(sessionId, run);
    return abort;
  }

  private async follow(sessionId: string, abort: AbortController, open: () => Promise<Response>): Promise<void> {
    let failures = 0;
    for (;;) {
      const seen = this.runs.get(sessionId)?.seq;
      let lost = new ApiError(0, 'Connection lost');
      try {
        for await (const event of readEvents(await open())) {
          const run = this.runs.get(sessionId);
          if (abort.signal.aborted || !run) return;
          const next = applyEvent(run, event);
          this.set(sessionId, next);
          if (hasEnded(next)) return;
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof ApiError) lost = error;
        if (isFinal(error)) {
          this.fail(sessionId, error);
          return;
        }
      }

      const run = this.runs.get(sessionId);
      if (abort.signal.aborted || !run) return;
      if (run.seq !== seen) failures = 0;
      const runId = run.runId;
      if (!runId || ++failures > attemptsInARow) {
        this.fail(sessionId, lost);
        return;
      }
      this.set(sessionId, { ...run, phase: 'reconnecting' });
      await this.pause(Math.min(longestPauseMs, 250 * 2 ** failures));
      open = () => this.resume(runId, this.runs.get(sessionId)?.seq ?? -1, abort);
    }
  }

  private resume(runId: string, after: number, abort: AbortController): Promise<Response> {
    const query = after < 0 ? '' : `?after=${after}`;
    return this.api.stream('GET', `/api/runs/${runId}/events${query}`, undefined, abort.signal);
  }

  private fail(sessionId: string, error: ApiError): void {
    const run = this.runs.get(sessionId);
    if (run) this.set(sessionId, { ...run, phase: 'failed', error });
  }

  private set(sessionId: string, run: Run): void {
    this.runs.set(sessionId, run);
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

/** A refusal is final; no answer at all, a limit and a broken upstream are worth another attempt. */
function isFinal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
}
