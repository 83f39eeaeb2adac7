export interface StreamEvent {
  name: string;
  data: string;
}

/**
 * Server-sent events from text that arrives in arbitrary pieces. Follows the WHATWG rules that matter here: LF, CR
 * and CRLF end a line also when split between two pieces, several data lines join, comments are ignored, and a
 * frame that never saw its blank line is dropped.
 */
export class EventStreamParser {
  private buffer = '';
  private name = '';
  private data: string[] = [];
  private atStart = true;

  push(text: string): StreamEvent[] {
    this.buffer += text;
    if (this.atStart && this.buffer.length > 0) {
      this.atStart = false;
      if (this.buffer.startsWith('\uFEFF')) this.buffer = this.buffer.slice(1);
    }

    const events: StreamEvent[] = [];
    let from = 0;
    for (;;) {
      const end = nextLineEnd(this.buffer, from);
      if (!end) break;
      const event = this.line(this.buffer.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.buffer = this.buffer.slice(from);
    return events;
  }

  private line(line: string): StreamEvent | null {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line.startsWith(' ', colon + 1) ? colon + 2 : colon + 1);
    if (field === 'event') this.name = value;
    if (field === 'data') this.data.push(value);
    return null;
  }

  private dispatch(): StreamEvent | null {
    const event = this.data.length === 0 ? null : { name: this.name || 'message', data: this.data.join('\n') };
    this.name = '';
    this.data = [];
    return event;
  }
}

function nextLineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\n') return { at: i, next: i + 1 };
    if (text[i] === '\r') {
      // A CR at the very end may be half of a CRLF: wait for the next piece.
      if (i + 1 === text.length) return null;
      return { at: i, next: text[i + 1] === '\n' ? i + 2 : i + 1 };
    }
  }
  return null;
}

/** Reads a response body to its end, event by event. UTF-8 sequences split between pieces are joined. */
export async function* readEvents(response: Response): AsyncGenerator<StreamEvent> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventStreamParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
