import { ApiError } from './ApiError';
import type { Tokens } from './types';

const refreshKey = 'fleet.refreshToken';

/**
 * Calls the public API as the person who signed in. The access token lives in memory only; the refresh token in
 * sessionStorage until the gateway holds browser sessions itself (README, decisions).
 */
export class ApiClient {
  private signedOut: () => void = () => undefined;
  private accessToken: string | null = null;
  private refreshing: Promise<boolean> | null = null;

  get mayResume(): boolean {
    return sessionStorage.getItem(refreshKey) !== null;
  }

  /** Tells when the sign-in has ended for good; returns how to stop listening. */
  whenSignedOut(listener: () => void): () => void {
    this.signedOut = listener;
    return () => {
      this.signedOut = () => undefined;
    };
  }

  async signIn(username: string, password: string): Promise<void> {
    this.keep(await this.anonymous<Tokens>('/api/auth/login', { username, password }));
  }

  async register(username: string, email: string, password: string): Promise<void> {
    await this.anonymous('/api/auth/register', { username, email, password });
    await this.signIn(username, password);
  }

  async signOut(): Promise<void> {
    const refreshToken = sessionStorage.getItem(refreshKey);
    try {
      if (refreshToken) await this.send('POST', '/api/auth/logout', { refreshToken });
    } catch {
      // Signing out must work without the server; the tokens expire on their own.
    }
    this.forget();
  }

  get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.json<T>('GET', path, undefined, signal);
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.json<T>('POST', path, body);
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.json<T>('PATCH', path, body);
  }

  async delete(path: string): Promise<void> {
    await this.send('DELETE', path);
  }

  /** Opens an event stream; the caller reads the body. */
  stream(method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    return this.send(method, path, body, signal, 'text/event-stream');
  }

  private async json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const response = await this.send(method, path, body, signal);
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  private async send(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    accept = 'application/json',
  ): Promise<Response> {
    if (!this.accessToken && !(await this.refresh())) throw this.ended();

    let response = await this.call(method, path, body, signal, accept);
    if (response.status === 401) {
      if (!(await this.refresh())) throw this.ended();
      response = await this.call(method, path, body, signal, accept);
    }
    if (!response.ok) throw await ApiError.from(response);
    return response;
  }

  private async call(method: string, path: string, body: unknown, signal: AbortSignal | undefined, accept: string) {
    const headers: Record<string, string> = { accept, authorization: `Bearer ${this.accessToken ?? ''}` };
    const form = body instanceof FormData;
    if (body !== undefined && !form) headers['content-type'] = 'application/json';
    return reach(path, {
      method,
      headers,
      body: body === undefined ? null : form ? body : JSON.stringify(body),
      signal: signal ?? null,
    });
  }

  private async anonymous<T>(path: string, body: unknown): Promise<T> {
    const response = await reach(path, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw await ApiError.from(response);
    return (await response.json()) as T;
  }

  /** One refresh at a time: the token rotates, and using it twice would look like theft. */
  private refresh(): Promise<boolean> {
    this.refreshing ??= this.rotate().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async rotate(): Promise<boolean> {
    const refreshToken = sessionStorage.getItem(refreshKey);
    if (!refreshToken) return false;
    try {
      this.keep(await this.anonymous<Tokens>('/api/auth/refresh', { refreshToken }));
      return true;
    } catch (error) {
      // Only a refusal ends the sign-in; an unreachable server does not.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) return false;
      throw error;
    }
  }

  private ended(): ApiError {
    this.forget();
    this.signedOut();
    return new ApiError(401, 'Signed out');
  }

  private keep(tokens: Tokens): void {
    this.accessToken = tokens.accessToken;
    sessionStorage.setItem(refreshKey, tokens.refreshToken);
  }

  private forget(): void {
    this.accessToken = null;
    sessionStorage.removeItem(refreshKey);
  }
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'Network error');
  }
}
