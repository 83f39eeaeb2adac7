using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// Reads a reply by its template's rules as it grows. The reader starts from the beginning every time, so it is asked only when new text
/// could mean something: inside a stretch of prose, where no character of the new text can begin what ends the stretch, the text is passed
/// on as it is; and the longer a reply is, the more text is gathered between two looks. What was sent is never taken back.
/// </summary>
internal sealed class TemplateReplyParser : IReplyParser
{
    // A look costs about 10 µs per kilobyte of reply; one per 1/256 of the reply keeps all looks together linear.
    private const int LooksPerLength = 256;

    // More held back than this reads as a stutter.
    private const int MostGathered = 64;

    // Prose is recognised by its end being the end of the text; longer than any delimiter.
    private const int Tail = 48;

    private readonly IReplyReader _reader;
    private readonly SearchValues<char> _stretchEnds;
    private readonly ArrayBufferWriter<byte> _reply = new(1024);
    private readonly Encoder _encoder = Encoding.UTF8.GetEncoder();
    private readonly SentText _content = new();
    private readonly SentText _reasoning = new();
    private readonly List<SentCall> _calls = [];

    private SentText? _stretch;
    private string _gathered = "";
    private bool _ended;

    /// <param name="delimiters">Texts at which a stretch of free text may end.</param>
    public TemplateReplyParser(IReplyReader reader, IReadOnlyList<string> delimiters)
    {
        _reader = reader;
        // Line breaks too: around delimiters they belong to nobody.
        _stretchEnds = SearchValues.Create([.. delimiters.Where(text => text.Length > 0).Select(text => text.TrimStart() is { Length: > 0 } shown ? shown[0] : text[0]).Append('\n').Append('\r').Distinct()]);

        // What the template has already said for the assistant is in no delta.
        if (reader.Read([], partial: true) is { } before)
        {
            _content.Take(before.Content, whole: true);
            _reasoning.Take(before.Reasoning, whole: true);
        }
    }

    public bool HasToolCalls => _calls.Any(call => call.Started);

    public ParsedDelta Append(string text)
    {
        if (text.Length == 0 || _ended)
            return ParsedDelta.Empty;

        Write(text);
        if (_stretch is { } stretch && !char.IsHighSurrogate(text[^1]) && text.AsSpan().IndexOfAny(_stretchEnds) < 0)
        {
            var added = stretch.Extend(text);
            return stretch == _content ? new ParsedDelta(added, "", []) : new ParsedDelta("", added, []);
        }

        _gathered += text;
        return _gathered.Length < Math.Min(MostGathered, _reply.WrittenCount / LooksPerLength) ? ParsedDelta.Empty : Look(partial: true);
    }

    public ParsedDelta Finish(bool complete)
    {
        if (_ended)
            return ParsedDelta.Empty;
        try
        {
            return Look(partial: !complete);
        }
        finally
        {
            _ended = true;
            _reader.Dispose();
        }
    }

    private ParsedDelta Look(bool partial)
    {
        var last = _gathered;
        _gathered = "";
        _stretch = null;
        var ending = !partial;
        var read = _reader.Read(_reply.WrittenSpan, partial);
        if (read is null && !partial)
        {
            // Not what the format promises, and nothing will come to mend it: as far as it can be read, or as it is.
            ending = true;
            read = _reader.Read(_reply.WrittenSpan, partial: true);
            if (read is null || (read.Content.Length == 0 && read.Reasoning.Length == 0 && read.ToolCalls.Count == 0))
                read = new ReadReply(Encoding.UTF8.GetString(_reply.WrittenSpan), "", []);
        }

        if (read is null)
            return ParsedDelta.Empty;

        var reasoning = _reasoning.Take(read.Reasoning, whole: false);
        var content = _content.Take(read.Content, whole: false);
        var calls = Calls(read.ToolCalls, ending);
        if (read.ToolCalls.Count == 0 && last.Length > 0 && !char.IsHighSurrogate(last[^1]) && last.AsSpan()[^1..].IndexOfAny(_stretchEnds) < 0)
            _stretch = Stretch(read);
        return new ParsedDelta(content, reasoning, calls);
    }

    /// <summary>The text that the reply is in the middle of: its end is the reply's end.</summary>
    private SentText? Stretch(ReadReply read)
    {
        var text = read.Content.Length > 0 ? read.Content : read.Reasoning;
        var sent = read.Content.Length > 0 ? _content : _reasoning;
        if (text.Length == 0 || !sent.IsAll(text))
            return null;
        var tail = Encoding.UTF8.GetBytes(text.Length > Tail && !char.IsLowSurrogate(text[^Tail]) ? text[^Tail..] : text);
        return _reply.WrittenSpan.EndsWith(tail) ? sent : null;
    }

    private List<ToolCallDelta> Calls(IReadOnlyList<ToolCall> read, bool ending)
    {
        var deltas = new List<ToolCallDelta>();
        for (var i = 0; i < read.Count; i++)
        {
            if (_calls.Count == i)
                _calls.Add(new SentCall());
            var sent = _calls[i];
            var call = read[i];

            // A name is sure once something follows it.
            if (!sent.Started)
            {
                if (call.Name.Length == 0 || (call.Arguments.Length == 0 && i == read.Count - 1 && !ending))
                    break;
                sent.Started = true;
                deltas.Add(new ToolCallDelta(i, call.Id.Length > 0 ? call.Id : NewId(), call.Name, ""));
            }

            // Nobody's parser takes an empty text for an empty object.
            var arguments = call.Arguments.Length == 0 && (ending || i < read.Count - 1) ? "{}" : call.Arguments;
            if (sent.Arguments.Take(arguments, whole: true) is { Length: > 0 } fragment)
                deltas.Add(new ToolCallDelta(i, "", "", fragment));
        }

        return deltas;
    }

    private static string NewId() => "call_" + RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 24);

    // A character outside the basic plane may arrive in two pieces.
    private void Write(string text)
    {
        var span = _reply.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length + 1));
        _reply.Advance(_encoder.GetBytes(text, span, flush: false));
    }

    private sealed class SentCall
    {
        public bool Started { get; set; }

        public SentText Arguments { get; } = new();
    }

    /// <summary>One growing text: how much of it was sent, and whether it still begins with that.</summary>
    private sealed class SentText
    {
        private readonly StringBuilder _sent = new();
        private string _held = "";

        /// <summary>What the text, as it is read now, adds to what was sent.</summary>
        /// <param name="whole">White space at its end is sent too.</param>
        public string Take(string text, bool whole)
        {
            _held = "";
            // Read differently than before: what was sent stays, and nothing is added until the text grows past it again.
            if (text.Length < _sent.Length || !BeginsWithSent(text))
                return "";
            var added = text[_sent.Length..];
            _sent.Append(added);
            return added;
        }

        /// <summary>The text goes on with this. White space at the end waits for what follows: readers trim it at a stretch's end.</summary>
        public string Extend(string text)
        {
            text = _held + text;
            var shown = text.AsSpan().TrimEnd().Length;
            _held = text[shown..];
            _sent.Append(text, 0, shown);
            return text[..shown];
        }

        public bool IsAll(string text) => text.Length == _sent.Length;

        private bool BeginsWithSent(string text)
        {
            var at = 0;
            foreach (var chunk in _sent.GetChunks())
            {
                if (!text.AsSpan(at).StartsWith(chunk.Span))
                    return false;
                at += chunk.Length;
            }

            return true;
        }
    }
}
