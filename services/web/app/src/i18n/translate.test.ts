import { describe, expect, it } from 'vitest';
import { en, type TextKey } from './en';
import { ko } from './ko';
import { translator } from './translate';

const keys = Object.keys(en) as TextKey[];
const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

describe('catalogues', () => {
  it.each(keys)('%s says the same values in both languages', (key) => {
    expect(ko[key].trim()).not.toBe('');
    expect(placeholders(ko[key])).toEqual(placeholders(en[key]));
  });

  it('fills in values and leaves unknown ones visible', () => {
    expect(translator('en')('tokens', { prompt: 3, completion: 4 })).toBe('3 tokens in, 4 out');
    expect(translator('ko')('page')).toBe('{page}쪽');
  });
});
