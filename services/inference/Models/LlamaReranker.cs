using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Embedding;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// A cross-encoder on llama.cpp: query and document are read as one text, a classification head says how relevant the document is. Computing
/// is the <see cref="TextEngine"/>'s; what is too long is cut or refused before.
/// </summary>
internal sealed class LlamaReranker : ITextReranker
{
    private readonly SafeLlamaModel _model;
    private readonly TextEngine _engine;
    private readonly PairFormat _format;
    private readonly RelevanceHead _head;
    private readonly int _maxTokens;

    /// <param name="runner">Of the model; belongs to the reranker from here on, if this returns.</param>
    /// <exception cref="EngineException">The file does not say how a pair is written, or what its outputs mean.</exception>
    public LlamaReranker(SafeLlamaModel model, ModelDescription description, GgufHeader header, LlamaTextRunner runner, int maxQueued, TimeProvider time, ILogger logger)
    {
        if (runner.Pooling != PoolingType.Rank)
            throw new EngineException(EngineError.NotSupported, $"{description.Id} has no classification head; it cannot rerank.");

        _model = model;
        _format = PairFormat.Of(model, description.Id);
        _head = RelevanceHead.Of(header, [.. Enumerable.Range(0, model.ClassifierOutputs).Select(model.ClassifierLabel)]);
        _maxTokens = runner.MaxTokens;
        _engine = new TextEngine(description.Id, runner, maxQueued, time, logger);
    }

    public EngineActivity Activity => _engine.Activity;

    public TokenList Tokenize(string text)
    {
        var tokens = Bare(text);
        return new TokenList(tokens, tokens.Length);
    }

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => Tokenize(string.Join('\n', messages.Select(message => message.Content)));

    public async Task<RerankBatch> RerankAsync(string query, IReadOnlyList<string> documents, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        var queryTokens = Bare(query);
        var room = _format.RoomForDocument(queryTokens.Length, _maxTokens);
        if (room < 1)
            throw new EngineException(EngineError.InvalidRequest, $"query has {queryTokens.Length} tokens; with {_maxTokens} tokens of context no document fits beside it.");

        var pairs = new int[documents.Count][];
        for (var i = 0; i < pairs.Length; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var document = Bare(documents[i]);
            if (document.Length > room && !truncate)
                throw new EngineException(EngineError.InvalidRequest, $"documents[{i}] has {document.Length} tokens; beside this query the model reads at most {room}.");
            pairs[i] = _format.Join(queryTokens, document.AsSpan(0, Math.Min(document.Length, room)));
        }

        var outputs = pairs.Length > 0 ? await _engine.RunAsync(pairs, requester, cancellationToken) : [];
        return new RerankBatch([.. outputs.Select(_head.Score)], pairs.Sum(pair => pair.Length));
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    private int[] Bare(string text) => _model.Tokenize(Encoding.UTF8.GetBytes(text), addSpecial: false, parseSpecial: false);
}
