import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiClient } from './ApiClient';

const tokens = (n: number) => ({ accessToken: `a${n}`, refreshToken: `r${n}`, tokenType: 'Bearer', expiresIn: 900 });
const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });

/** A server with one valid access token at a time and rotating refresh tokens. */
function server() {
  let generation = 1;
  const calls: string[] = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    await Promise.resolve();
    calls.push(path);
    if (path === '/api/auth/login') return json(200, tokens(generation));
    if (path === '/api/auth/refresh') {
      const { refreshToken } = JSON.parse(init.body as string) as { refreshToken: string };
      if (refreshToken !== `r${generation}`) return json(401, { title: 'Invalid' });
      return json(200, tokens(++generation));
    }
    const { authorization } = init.headers as Record<string, string>;
    return authorization === `Bearer a${generation}` ? json(200, { ok: true }) : json(401, { title: 'Expired' });
  });
  return {
    calls,
    expire: () => generation++,
    /** The access token ends, the refresh token stays good. */
    expireAccess: () => {
      generation++;
      sessionStorage.setItem('fleet.refreshToken', `r${generation}`);
    },
  };
}

beforeEach(() => {
  sessionStorage.clear();
  vi.unstubAllGlobals();
});

describe('ApiClient', () => {
  it('refreshes once for many calls at the same time', async () => {
    const { calls, expireAccess } = server();
    const api = new ApiClient();
    await api.signIn('u', 'p');
    expireAccess();

    const answers = await Promise.all([api.get('/api/a'), api.get('/api/b'), api.get('/api/c')]);

    expect(answers).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
    expect(calls.filter((path) => path === '/api/auth/refresh')).toHaveLength(1);
  });

  it('keeps the access token out of storage', async () => {
    server();
    const api = new ApiClient();

    await api.signIn('u', 'p');

    expect(JSON.stringify([sessionStorage, localStorage])).not.toContain('a1');
  });

  it('says that the sign-in has ended when the refresh token is refused', async () => {
    const { expire } = server();
    const api = new ApiClient();
    const ended = vi.fn();
    api.whenSignedOut(ended);
    await api.signIn('u', 'p');
    expire();

    await expect(api.get('/api/a')).rejects.toMatchObject({ status: 401 });

    expect(ended).toHaveBeenCalledOnce();
    expect(api.mayResume).toBe(false);
  });

  it('does not sign out because the server cannot be reached', async () => {
    server();
    const api = new ApiClient();
    await api.signIn('u', 'p');
    const ended = vi.fn();
    api.whenSignedOut(ended);
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('offline')));

    await expect(api.get('/api/a')).rejects.toMatchObject({ status: 0 });

    expect(ended).not.toHaveBeenCalled();
    expect(api.mayResume).toBe(true);
  });

  it('carries the problem details of a refusal', async () => {
    server();
    const api = new ApiClient();
    await api.signIn('u', 'p');
    const problem = { title: 'Bad', detail: 'Why', traceId: 't1', errors: { title: ['Too long'] } };
    vi.stubGlobal('fetch', () => Promise.resolve(json(400, problem)));

    await expect(api.post('/api/sessions', {})).rejects.toMatchObject({
      status: 400,
      title: 'Bad',
      detail: 'Why',
      traceId: 't1',
      fields: { title: ['Too long'] },
    });
  });
});
