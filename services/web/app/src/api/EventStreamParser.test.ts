import { describe, expect, it } from 'vitest';
import { EventStreamParser, readEvents, type StreamEvent } from './EventStreamParser';

function parse(...pieces: string[]): StreamEvent[] {
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

describe('EventStreamParser', () => {
  it('reads name and data', () => {
    expect(parse('event: token\ndata: {"seq":1}\n\n')).toEqual([{ name: 'token', data: '{"seq":1}' }]);
  });

  it.each(['\n', '\r', '\r\n'])('accepts %j as line end', (end) => {
    const text = `event: a${end}data: 1${end}${end}event: b${end}data: 2${end}${end}`;

    // A lone CR at the very end may be half of a CRLF, so one more character is sent.
    expect(parse(text, ':').map((event) => event.name)).toEqual(['a', 'b']);
  });

  it('gives the same events however the text is cut', () => {
    const text = ': ping\r\n\r\nevent: token\r\ndata: 안녕\r\ndata: 하세요\r\n\r\ndata:x\n\n';
    const whole = parse(text);

    for (let cut = 0; cut <= text.length; cut++) expect(parse(text.slice(0, cut), text.slice(cut))).toEqual(whole);
    expect(parse(...Array.from(text))).toEqual(whole);
    expect(whole).toEqual([
      { name: 'token', data: '안녕\n하세요' },
      { name: 'message', data: 'x' },
    ]);
  });

  it('ignores comments, unknown fields, frames without data and a byte order mark', () => {
    expect(parse('\uFEFF: ping\n\nid: 4\nretry: 3\n\nevent: token\n\nfoo: bar\ndata\n\n')).toEqual([
      { name: 'message', data: '' },
    ]);
  });

  it('drops a frame that never got its blank line', () => {
    expect(parse('data: whole\n\ndata: cut\n')).toEqual([{ name: 'message', data: 'whole' }]);
  });
});

describe('readEvents', () => {
  it('joins a character that was cut between two pieces', async () => {
    const bytes = new TextEncoder().encode('data: 한글\n\n');
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });

    const events: StreamEvent[] = [];
    for await (const event of readEvents(new Response(body))) events.push(event);

    expect(events).toEqual([{ name: 'message', data: '한글' }]);
  });
});
