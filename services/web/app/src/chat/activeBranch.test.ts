import { describe, expect, it } from 'vitest';
import type { Message } from '../api/types';
import { activeBranch } from './useConversation';

function message(id: string, parentId: string | null): Message {
  return { id, parentId, role: 'user', content: id, status: 'complete', createdAt: '2026-01-01T00:00:00Z' };
}

const ids = (messages: Message[]) => activeBranch(messages).map(({ id }) => id);

describe('activeBranch', () => {
  it('is the whole of a conversation without branches', () => {
    expect(ids([message('q', null), message('a', 'q'), message('q2', 'a')])).toEqual(['q', 'a', 'q2']);
  });

  it('leaves out the answer that was generated again', () => {
    expect(ids([message('q', null), message('failed', 'q'), message('again', 'q')])).toEqual(['q', 'again']);
  });

  it('does not depend on which of question and answer is listed first', () => {
    expect(ids([message('a', 'q'), message('q', null)])).toEqual(['q', 'a']);
  });

  it('ends with messages that point nowhere or in a circle', () => {
    expect(ids([])).toEqual([]);
    expect(ids([message('a', 'gone')])).toEqual(['a']);
    expect(ids([message('a', 'b'), message('b', 'a')])).toEqual([]);
  });
});
