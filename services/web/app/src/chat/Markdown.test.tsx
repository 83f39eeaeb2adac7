import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { I18nProvider } from '../i18n/I18nProvider';
import { Markdown } from './Markdown';

afterEach(cleanup);

function show(text: string) {
  return render(
    <I18nProvider initial="en">
      <Markdown text={text} />
    </I18nProvider>,
  ).container;
}

describe('Markdown', () => {
  it('renders headings, tables and code', () => {
    show('# Title\n\n| a |\n|---|\n| b |\n\n```\ncode\n```');

    expect(screen.getByRole('heading', { name: 'Title' })).toBeTruthy();
    expect(screen.getByRole('cell', { name: 'b' })).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Copy code' })).toBeTruthy();
  });

  it('never interprets raw HTML', () => {
    const page = show('<script>alert(1)</script><img src=x onerror=alert(1)> <b>bold</b>');

    expect(page.querySelector('script, img, b')).toBeNull();
    expect(page.textContent).toContain('<b>');
  });

  it.each(['[x](javascript:alert(1))', '[x](JaVaScRiPt:alert(1))', '[x](data:text/html,<script>alert(1)</script>)'])(
    'gives %s no address',
    (text) => {
      const link = show(text).querySelector('a');

      expect(link?.getAttribute('href') ?? '').toBe('');
    },
  );

  it('shows a remote picture as a link that tells the other side nothing', () => {
    const page = show('![tracker](https://example.org/pixel.png)');

    expect(page.querySelector('img')).toBeNull();
    expect(screen.getByRole('link', { name: 'tracker' }).getAttribute('rel')).toBe('noopener noreferrer');
  });
});
