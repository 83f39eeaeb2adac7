using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Embedding;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// An embedding model on llama.cpp. Texts are tokenised and measured on the caller's thread, before they reach the library, which aborts on
/// one that is too long; computing is the <see cref="TextEngine"/>'s. A prefix that a model wants before queries or passages is the caller's affair.
/// </summary>
internal sealed class LlamaEmbedder : ITextEmbedder
{
    private readonly SafeLlamaModel _model;
    private readonly TextEngine _engine;
    private readonly TextFrame _frame;

    /// <param name="runner">Of the model; belongs to the embedder from here on, if this returns.</param>
    /// <exception cref="EngineException">The file does not say how token vectors become one.</exception>
    public LlamaEmbedder(SafeLlamaModel model, string id, LlamaTextRunner runner, int maxQueued, TimeProvider time, ILogger logger)
    {
        if (runner.Pooling is not (PoolingType.Mean or PoolingType.First or PoolingType.Last))
            throw new EngineException(EngineError.NotSupported, $"{id} does not say how the vectors of its tokens become one (pooling_type); it cannot embed.");

        _model = model;
        _frame = TextFrame.Of(model);
        MaxTokens = runner.MaxTokens;
        Space = $"{id}:{model.EmbeddingWidth}";
        _engine = new TextEngine(id, runner, maxQueued, time, logger);
    }

    public int MaxTokens { get; }

    public int Dimensions => _model.EmbeddingWidth;

    public string Space { get; }

    public EngineActivity Activity => _engine.Activity;

    public TokenList Tokenize(string text)
    {
        var tokens = Framed(text);
        return new TokenList(tokens, tokens.Length);
    }

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => Tokenize(string.Join('\n', messages.Select(message => message.Content)));

    public async Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        var tokens = new int[texts.Count][];
        var truncated = new bool[texts.Count];
        for (var i = 0; i < tokens.Length; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var text = Framed(texts[i]);
            if (text.Length == 0)
                throw new EngineException(EngineError.InvalidRequest, $"texts[{i}] has nothing the model can read.");
            truncated[i] = text.Length > MaxTokens;
            if (truncated[i] && !truncate)
                throw new EngineException(EngineError.InvalidRequest, $"texts[{i}] has {text.Length} tokens; the model reads at most {MaxTokens}.");
            tokens[i] = truncated[i] ? _frame.Cut(text, MaxTokens) : text;
        }

        var vectors = tokens.Length > 0 ? await _engine.RunAsync(tokens, requester, cancellationToken) : [];
        return new EmbeddingBatch([.. vectors.Select((vector, i) => new TextEmbedding(Normalize(vector), truncated[i]))], tokens.Sum(text => text.Length));
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    private int[] Framed(string text) => _model.Tokenize(Encoding.UTF8.GetBytes(text), addSpecial: true, parseSpecial: false);

    private static float[] Normalize(float[] vector)
    {
        var squares = 0d;
        foreach (var value in vector)
            squares += (double)value * value;
        if (!double.IsFinite(squares) || squares == 0)
            throw new EngineException(EngineError.Internal, "The model computed no direction for the text; its weights may be damaged.");

        var scale = 1 / Math.Sqrt(squares);
        for (var i = 0; i < vector.Length; i++)
            vector[i] = (float)(vector[i] * scale);
        return vector;
    }
}
