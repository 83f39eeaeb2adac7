using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// A model's own vocabulary. Template text and user text are tokenised apart, so that "&lt;|im_end|&gt;" in a message stays eight
/// ordinary characters and ends nobody's turn.
/// </summary>
internal sealed class LlamaVocabulary : IVocabulary
{
    // What llama.cpp writes for "chatml"; also used when a file has no template or one llama.cpp does not know.
    private const string FallbackTemplate = "chatml";

    private readonly SafeLlamaModel _model;
    private readonly string _template;
    private readonly ReadOnlyMemory<byte>[] _pieces;

    // SentencePiece puts a space before every text it is given; for a text that goes on, a newline in front takes the space and is cut off again.
    private readonly int[]? _continuationGuard;

    public LlamaVocabulary(SafeLlamaModel model, string? template)
    {
        _model = model;
        _template = template is not null && SafeLlamaModel.ApplyTemplate(template, [("user", "?")]) is not null ? template : FallbackTemplate;
        _pieces = new ReadOnlyMemory<byte>[model.VocabularySize];
        _continuationGuard = AddsSpace() ? Raw("\n", parseSpecial: false) : null;
    }

    public int Size => _model.VocabularySize;

    public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom)
    {
        var tokens = Raw(text, parseSpecial: false).ToList();
        tokens.AddRange(Continuation(continueFrom, parseSpecial: false));
        return WithBegin(tokens);
    }

    public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom)
    {
        // Each message is a marker while the template is applied; the result is cut at the markers.
        var marked = messages.Select((message, index) => (RoleName(message.Role), Marker(index))).ToList();
        var written = SafeLlamaModel.ApplyTemplate(_template, marked)
            ?? throw new EngineException(EngineError.NotSupported, "The model's chat template cannot be applied.");

        var tokens = new List<int>();
        var position = 0;
        for (var i = 0; i < messages.Count; i++)
        {
            var at = written.IndexOf(Marker(i), position, StringComparison.Ordinal);
            if (at < 0)
                throw new EngineException(EngineError.NotSupported, "The model's chat template cannot hold these messages.");

            AddText(written[position..at], parseSpecial: true);
            AddText(messages[i].Content, parseSpecial: false);
            position = at + Marker(i).Length;
        }

        AddText(written[position..], parseSpecial: true);
        AddText(continueFrom, parseSpecial: false);
        return WithBegin(tokens);

        void AddText(string text, bool parseSpecial) =>
            tokens.AddRange(tokens.Count == 0 ? Raw(text, parseSpecial) : Continuation(text, parseSpecial));
    }

    public ReadOnlyMemory<byte> Bytes(int token)
    {
        // Two threads may fill the same entry; both write the same bytes.
        if (_pieces[token].IsEmpty)
            _pieces[token] = _model.Piece(token);
        return _pieces[token];
    }

    public ReadOnlyMemory<byte> Spelling(int token) => _model.Piece(token, special: true);

    public bool IsEndOfGeneration(int token) => _model.IsEndOfGeneration(token);

    private int[] Raw(string text, bool parseSpecial) =>
        text.Length == 0 ? [] : _model.Tokenize(Encoding.UTF8.GetBytes(text), addSpecial: false, parseSpecial);

    private int[] Continuation(string text, bool parseSpecial)
    {
        if (text.Length == 0 || _continuationGuard is null)
            return Raw(text, parseSpecial);

        var guarded = Raw("\n" + text, parseSpecial);
        return guarded.AsSpan().StartsWith(_continuationGuard) ? guarded[_continuationGuard.Length..] : Raw(text, parseSpecial);
    }

    private List<int> WithBegin(List<int> tokens)
    {
        if (_model.BeginOfSequence is { } begin && (tokens.Count == 0 || tokens[0] != begin))
            tokens.Insert(0, begin);
        return tokens;
    }

    private bool AddsSpace()
    {
        var bytes = Raw("a", parseSpecial: false).SelectMany(token => _model.Piece(token)).ToArray();
        return bytes.Length > 1 && bytes[0] == (byte)' ';
    }

    private static string Marker(int index) => $"\u0002fleet-{index}\u0003";

    private static string RoleName(ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.Assistant => "assistant",
        ChatRole.Tool => "tool",
        _ => "user",
    };
}
