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

export interface SessionConfig {
  useKnowledge?: boolean;
  collections?: string[] | null;
  [setting: string]: unknown;
}

export interface Session {
  id: string;
  title: string;
  config: SessionConfig;
  createdAt: string;
  updatedAt: string;
}

export interface Citation {
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
  status: string;
  tokenCounts?: TokenCounts | null;
  processingTimeMs?: number | null;
  model?: string | null;
  citations?: Citation[] | null;
  runId?: string | null;
  createdAt: string;
}

export type DocumentStatus = 'stored' | 'parsed' | 'split' | 'embedded' | 'indexed' | 'failed';

export interface KnowledgeDocument {
  id: string;
  name: string;
  status: DocumentStatus;
  error?: string | null;
}

export interface Collection {
  id: string;
  name: string;
}
