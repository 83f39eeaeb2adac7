/** The shapes of the public API that this app reads; unknown fields are ignored, so services may add some. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  tokenType: string;
  expiresIn: number;
}

export interface User {
  id: string;
  username: string;
}

/** In a change, what is not given stays as it was. */
export interface SessionConfig {
  model?: string | null;
  useKnowledge?: boolean | null;
}

export interface Session {
  id: string;
  title: string | null;
  config: SessionConfig;
  /** The reply being written now; only with a single session. */
  activeRunId?: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface Notice {
  code: string;
  text: string;
  count?: number | null;
}

export interface Model {
  id: string;
  isDefault: boolean;
}

export interface Citation {
  /** The [n] in the text. */
  number?: number;
  chunkId: string;
  documentId: string;
  title: string;
  page?: number | null;
  text: string;
  score?: number | null;
}

export interface TokenCounts {
  prompt?: number | null;
  completion?: number | null;
}

export interface Message {
  id: string;
  parentId?: string | null;
  role: 'user' | 'assistant' | 'system';
  content: string;
  status: 'complete' | 'streaming' | 'stopped' | 'failed';
  tokenCounts?: TokenCounts | null;
  processingTimeMs?: number | null;
  model?: string | null;
  citations?: Citation[] | null;
  notices?: Notice[] | null;
  error?: { type: string; title: string } | null;
  createdAt: string;
}

export type DocumentStatus = 'stored' | 'parsed' | 'split' | 'embedded' | 'indexed' | 'failed';

export interface KnowledgeDocument {
  id: string;
  name: string;
  status: DocumentStatus;
  failureReason?: string | null;
}

export interface Collection {
  id: string;
  name: string;
}
