import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/ApiError';
import { RunStore } from './RunStore';

type Answer = string | ApiError;

/** An API whose answers are given in order; each call is remembered. */
class FakeApi {
  readonly calls: string[] = [];

  constructor(private readonly answers: Answer[]) {}

  stream(method: string, path: string): Promise<Response> {
    this.calls.push(`${method} ${path}`);
    const answer = this.answers.shift() ?? new ApiError(0, 'No answer left');
    return answer instanceof ApiError ? Promise.reject(answer) : Promise.resolve(new Response(answer));
  }

  post<T>(path: string): Promise<T> {
    this.calls.push(`POST ${path}`);
    return Promise.resolve(undefined as T);
  }
}

function frame(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

const opening = frame('run', { seq: 0, runId: 'r1', messageId: 'm2' });
const done = (seq: number) => frame('done', { seq, message: { id: 'm2', role: 'assistant', content: 'Hello' } });
const noPause = () => Promise.resolve();

describe('RunStore', () => {
  it('collects tokens until the answer is done', async () => {
    const answer = opening + frame('token', { seq: 1, text: 'Hel' }) + frame('token', { seq: 2, text: 'lo' }) + done(3);
    const store = new RunStore(new FakeApi([answer]), noPause);

    await store.send('s1', 'Hi', 'm0');

    expect(store.get('s1')).toMatchObject({ phase: 'done', text: 'Hello', runId: 'r1', afterId: 'm0', error: null });
    expect(store.get('s1')?.message?.id).toBe('m2');
  });

  it('resumes after the last event when the connection breaks, without repeating a token', async () => {
    const first = opening + frame('token', { seq: 1, text: 'Hel' });
    const replay = frame('token', { seq: 1, text: 'Hel' }) + frame('token', { seq: 2, text: 'lo' }) + done(3);
    const api = new FakeApi([first, new ApiError(0, 'Network'), new ApiError(503, 'Starting'), replay]);
    const store = new RunStore(api, noPause);

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')).toMatchObject({ phase: 'done', text: 'Hello' });
    expect(api.calls).toEqual([
      'POST /api/sessions/s1/messages',
      'GET /api/runs/r1/events?after=1',
      'GET /api/runs/r1/events?after=1',
      'GET /api/runs/r1/events?after=1',
    ]);
  });

  it('never sends a message twice by itself', async () => {
    const api = new FakeApi([new ApiError(503, 'Starting')]);
    const store = new RunStore(api, noPause);

    await store.send('s1', 'Hi', null);

    expect(api.calls).toHaveLength(1);
    expect(store.get('s1')).toMatchObject({ phase: 'failed', question: 'Hi', error: { status: 503 } });
  });

  it('gives up after many failures in a row', async () => {
    const api = new FakeApi([opening]);
    const store = new RunStore(api, noPause);

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')).toMatchObject({ phase: 'failed', error: { status: 0 } });
    expect(api.calls.length).toBeGreaterThan(5);
  });

  it('ends on a refusal at once', async () => {
    const api = new FakeApi([opening, new ApiError(404, 'Not found')]);
    const store = new RunStore(api, noPause);

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')).toMatchObject({ phase: 'failed', error: { status: 404 } });
  });

  it('shows an error event as a failure and keeps what was written', async () => {
    const answer =
      opening + frame('token', { seq: 1, text: 'Half' }) + frame('error', { seq: 2, type: 'urn:x', title: 'No model' });
    const store = new RunStore(new FakeApi([answer]), noPause);

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')).toMatchObject({ phase: 'failed', text: 'Half', error: { title: 'No model' } });
  });

  it('asks for another answer, not for another question, when the run had been taken', async () => {
    const failed = opening + frame('error', { seq: 1, type: 'urn:x', title: 'No model' });
    const again = frame('run', { seq: 0, runId: 'r2', messageId: 'm3' }) + done(1);
    const api = new FakeApi([failed, again]);
    const store = new RunStore(api, noPause);
    await store.send('s1', 'Hi', 'm0');

    await store.retry('s1');

    expect(api.calls).toEqual(['POST /api/sessions/s1/messages', 'POST /api/messages/m2/regenerate']);
    expect(store.get('s1')).toMatchObject({ phase: 'done', question: 'Hi', afterId: 'm0' });
  });

  it('takes the replacement text that a notice carries', async () => {
    const notice = { seq: 2, code: 'resumed', text: 'The answer was taken up again.', content: 'Hel' };
    const answer = opening + frame('token', { seq: 1, text: 'Hex' }) + frame('notice', notice);
    const store = new RunStore(new FakeApi([answer, frame('token', { seq: 3, text: 'lo' }) + done(4)]), noPause);

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')).toMatchObject({ text: 'Hello', notices: [{ code: 'resumed' }] });
  });

  it('survives events it cannot read', async () => {
    const store = new RunStore(new FakeApi([`${opening}data: {broken\n\n${frame('unknown', { seq: 1 })}${done(2)}`]));

    await store.send('s1', 'Hi', null);

    expect(store.get('s1')?.phase).toBe('done');
  });

  it('joins a run from its beginning', async () => {
    const api = new FakeApi([opening + frame('token', { seq: 1, text: 'Hello' }) + done(2)]);
    const store = new RunStore(api, noPause);

    await store.attach('s1', 'r1', 'Hi', null);

    expect(api.calls).toEqual(['GET /api/runs/r1/events']);
    expect(store.get('s1')).toMatchObject({ phase: 'done', text: 'Hello', question: 'Hi' });
  });

  it('stops by asking for it, and waits for the end of the run', async () => {
    let open: ReadableStreamDefaultController<Uint8Array> | undefined;
    const api = new FakeApi([]);
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (open = controller) });
    api.stream = () => Promise.resolve(new Response(body));
    const send = (text: string) => open?.enqueue(new TextEncoder().encode(text));
    const store = new RunStore(api, noPause);
    const sending = store.send('s1', 'Hi', null);
    send(opening);
    await new Promise<void>((resolve) => {
      store.subscribe(() => {
        if (store.get('s1')?.runId) resolve();
      });
    });

    await store.stop('s1');

    expect(api.calls).toEqual(['POST /api/runs/r1/cancel']);
    expect(store.get('s1')).toMatchObject({ stopping: true, phase: 'waiting' });
    send(done(1));
    await sending;
    expect(store.get('s1')?.phase).toBe('done');
  });
});
