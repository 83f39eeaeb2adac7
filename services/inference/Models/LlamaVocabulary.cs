using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// A model's own vocabulary. What others wrote never becomes a control token (<see cref="SafePrompt"/>): "&lt;|im_end|&gt;" in a message stays
/// ten ordinary characters and ends nobody's turn.
/// </summary>
internal sealed class LlamaVocabulary : IVocabulary, IPromptVocabulary
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
        ControlTexts = new ControlTexts(model.ControlTokenTexts());
        _continuationGuard = AddsSpace() ? Raw("\n", parseSpecial: false) : null;
    }

    public int Size => _model.VocabularySize;

    public ControlTexts ControlTexts { get; }

    public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom)
    {
        var tokens = Raw(text, parseSpecial: false).ToList();
        tokens.AddRange(Continuation(continueFrom, parseSpecial: false));
        return WithBegin(tokens);
    }

    public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) =>
        BuiltInFormat().Prepare(new GenerationRequest { RequestId = "", Messages = messages, ContinueFrom = continueFrom }).Tokens;

    /// <summary>The format llama.cpp's C function knows the model's template as; ChatML when it knows it as none.</summary>
    public BuiltInPromptFormat BuiltInFormat() => new(this, messages => SafeLlamaModel.ApplyTemplate(_template, messages));

    public IReadOnlyList<int> Tokenize(IReadOnlyList<PromptSegment> segments)
    {
        var tokens = new List<int>();
        foreach (var (text, controlTokens) in segments)
            tokens.AddRange(tokens.Count == 0 ? Raw(text, controlTokens) : Continuation(text, controlTokens));
        return WithBegin(tokens);
    }

    public IReadOnlyList<int> TokenizeContinuation(string text) => Continuation(text, parseSpecial: false);

    public int? SingleToken(string text) => Raw(text, parseSpecial: true) is [var token] ? token : null;

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
}
