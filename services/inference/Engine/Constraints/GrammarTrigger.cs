using System.Text;
using System.Text.RegularExpressions;

namespace Fleet.Inference.Engine.Constraints;

/// <summary>
/// Watches the text of a lazy grammar for what makes it hold: llama.cpp's trigger patterns and tokens. A pattern from ^ to $ must match all
/// text so far, any other anywhere in it; the grammar takes over where the first non-empty group begins. One reply's.
/// </summary>
internal sealed class GrammarTrigger
{
    // A pattern that needs longer than this for one look at the text will not be fast enough for a stream either.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    private readonly Regex[] _patterns;
    private readonly IReadOnlyList<int> _tokens;
    private readonly List<byte> _text = [];

    public GrammarTrigger(GrammarSpec spec)
    {
        _tokens = spec.TriggerTokens;
        _patterns = [.. spec.TriggerPatterns.Select(Compile)];
    }

    /// <summary>What the grammar must take when this token comes: its text from the trigger on, or the token itself; null = not triggered.</summary>
    public (byte[] Text, bool WholeToken)? Look(int token, ReadOnlySpan<byte> spelling)
    {
        if (_tokens.Contains(token))
            return ([], true);
        if (_patterns.Length == 0)
            return null;

        var bytes = new byte[_text.Count + spelling.Length];
        _text.CopyTo(bytes);
        spelling.CopyTo(bytes.AsSpan(_text.Count));

        // Latin-1 maps bytes to characters one to one, so places in the string are places in the bytes; the patterns were encoded alike.
        var text = Encoding.Latin1.GetString(bytes);
        foreach (var pattern in _patterns)
        {
            if (Matches(pattern, text, out var start))
                return (bytes[start..], start == _text.Count);
        }

        return null;
    }

    public void Accept(ReadOnlySpan<byte> spelling) => _text.AddRange(spelling);

    private static bool Matches(Regex pattern, string text, out int start)
    {
        try
        {
            var match = pattern.Match(text);
            var group = match.Groups.Values.Skip(1).FirstOrDefault(group => group.Length > 0);
            start = group?.Index ?? match.Index;
            return match.Success;
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new EngineException(EngineError.Internal, "Looking for the beginning of a tool call takes too long.", exception);
        }
    }

    private static Regex Compile(string pattern)
    {
        var bytes = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(pattern));
        if (bytes.Length > 1 && bytes[0] == '^' && bytes[^1] == '$')
            bytes = $"{bytes[..^1]}\\z";
        try
        {
            return new Regex(bytes, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (Exception exception) when (exception is NotSupportedException or RegexParseException)
        {
            // What needs backtracking (a look-ahead) gets it, with a limit.
            return CompileBacktracking(bytes);
        }
    }

    private static Regex CompileBacktracking(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant, Patience);
        }
        catch (RegexParseException exception)
        {
            throw new EngineException(EngineError.NotSupported, $"A trigger pattern of the model's format cannot be read: {exception.Message}", exception);
        }
    }
}
