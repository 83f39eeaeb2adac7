import { cleanup, createEvent, fireEvent, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { I18nProvider } from '../i18n/I18nProvider';
import { Composer } from './Composer';

afterEach(cleanup);

function open(running = false) {
  const onSend = vi.fn();
  const onStop = vi.fn();
  render(
    <I18nProvider initial="en">
      <Composer running={running} stopping={false} onSend={onSend} onStop={onStop} />
    </I18nProvider>,
  );
  return { onSend, onStop, box: screen.getByRole('textbox', { name: 'Message' }) };
}

describe('Composer', () => {
  it('sends the text with Enter and empties itself', async () => {
    const { onSend, box } = open();

    await userEvent.type(box, '  Hello there {Enter}');

    expect(onSend).toHaveBeenCalledExactlyOnceWith('Hello there');
    expect(box).toHaveProperty('value', '');
  });

  it('starts a new line with Shift + Enter', async () => {
    const { onSend, box } = open();

    await userEvent.type(box, 'one{Shift>}{Enter}{/Shift}two');

    expect(onSend).not.toHaveBeenCalled();
    expect(box).toHaveProperty('value', 'one\ntwo');
  });

  it.each([
    ['while a syllable is composed', { isComposing: true }],
    ['right after the composition, where only key code 229 tells', { keyCode: 229 }],
  ])('does not send %s', async (_, detail) => {
    const { onSend, box } = open();
    await userEvent.type(box, '안녕');

    const enter = createEvent.keyDown(box, { key: 'Enter', ...detail });
    fireEvent(box, enter);

    expect(onSend).not.toHaveBeenCalled();
    expect(enter.defaultPrevented).toBe(false);
    expect(box).toHaveProperty('value', '안녕');
  });

  it('sends nothing when there is only white space', async () => {
    const { onSend, box } = open();

    await userEvent.type(box, '   {Enter}');

    expect(onSend).not.toHaveBeenCalled();
    expect(screen.getByRole('button', { name: 'Send' })).toHaveProperty('disabled', true);
  });

  it('gives the text back when it could not be taken', async () => {
    const { onSend, box } = open();
    onSend.mockRejectedValue(new Error('unreachable'));

    await userEvent.type(box, 'Hello{Enter}');

    await waitFor(() => expect(box).toHaveProperty('value', 'Hello'));
  });

  it('lets the person type and stop while an answer is under way', async () => {
    const { onSend, onStop, box } = open(true);

    await userEvent.type(box, 'next question{Enter}');
    await userEvent.click(screen.getByRole('button', { name: 'Stop' }));

    expect(onSend).not.toHaveBeenCalled();
    expect(box).toHaveProperty('value', 'next question');
    expect(onStop).toHaveBeenCalledOnce();
  });
});
