using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// An embedding model on llama.cpp. One caller at a time owns the context; others wait in a bounded queue. Texts are measured before
/// they reach the library, which aborts on one that is too long.
/// </summary>
internal sealed class LlamaEmbedder : ITextEmbedder
{
    // Texts in one decode: enough to fill the processor, few enough that the next caller gets its turn soon.
    public const int TextsPerBatch = 8;

    private readonly SafeLlamaModel _model;
    private readonly SafeLlamaContext _context;
    private readonly LlamaBatch _batch;
    private readonly int _maxQueued;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private int _waiting;
    private bool _disposed;

    public LlamaEmbedder(SafeLlamaModel model, LlamaContextSettings settings, string space, int maxQueued)
    {
        _model = model;
        _context = SafeLlamaContext.Create(model, settings);
        _batch = new LlamaBatch(_context.BatchTokens);
        _maxQueued = maxQueued;
        MaxTokens = Math.Min(_context.BatchTokens, model.TrainedContext);
        Space = space;
    }

    public int MaxTokens { get; }

    public int Dimensions => _model.EmbeddingWidth;

    public string Space { get; }

    public EngineActivity Activity
    {
        get
        {
            var waiting = Volatile.Read(ref _waiting);
            return new EngineActivity(Math.Min(1, waiting), Math.Max(0, waiting - 1), []);
        }
    }

    public TokenList Tokenize(string text)
    {
        var tokens = TokenizeOne(text);
        return new TokenList(tokens, tokens.Length);
    }

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => Tokenize(string.Join('\n', messages.Select(message => message.Content)));

    public async Task<EmbeddingBatch> EmbedAsync(IReadOnlyList<string> texts, bool truncate, Requester requester, CancellationToken cancellationToken)
    {
        var tokens = texts.Select(TokenizeOne).ToList();
        var truncated = tokens.ConvertAll(text => text.Length > MaxTokens);
        if (!truncate && truncated.IndexOf(true) is >= 0 and var index)
            throw new EngineException(EngineError.InvalidRequest, $"texts[{index}] has {tokens[index].Length} tokens; the model reads at most {MaxTokens}.");

        if (Interlocked.Increment(ref _waiting) > _maxQueued + 1)
        {
            var queued = Interlocked.Decrement(ref _waiting) - 1;
            throw new EngineException(EngineError.QueueFull, "Too many texts are waiting to be embedded.") { Queued = queued, Running = 1, RetryAfter = TimeSpan.FromSeconds(1) };
        }

        try
        {
            await _turn.WaitAsync(cancellationToken);
            try
            {
                // Computation, not waiting: it must not sit on the thread that serves the connection.
                var vectors = await Task.Run(() => Embed(tokens, cancellationToken), cancellationToken);
                return new EmbeddingBatch([.. vectors.Select((vector, i) => new TextEmbedding(vector, truncated[i]))], tokens.Sum(text => Math.Min(text.Length, MaxTokens)));
            }
            finally
            {
                _turn.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _disposed = true;
        _batch.Dispose();
        _context.Dispose();
        _model.Dispose();
        _turn.Release();
    }

    private int[] TokenizeOne(string text) => _model.Tokenize(Encoding.UTF8.GetBytes(text), addSpecial: true, parseSpecial: false);

    private float[][] Embed(List<int[]> texts, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var vectors = new float[texts.Count][];
        for (var first = 0; first < texts.Count;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var next = FillBatch(texts, first);
            if (_context.Decode(_batch) != DecodeStatus.Done)
                throw new EngineException(EngineError.Internal, "llama.cpp could not embed the text.");

            for (var i = first; i < next; i++)
                vectors[i] = Normalize(_context.Embedding(i - first));

            // Decoders used as embedders fill a cache; encoders have none.
            _context.ClearAll();
            first = next;
        }

        return vectors;
    }

    private int FillBatch(List<int[]> texts, int first)
    {
        _batch.Clear();
        var next = first;
        while (next < texts.Count && next - first < TextsPerBatch)
        {
            var length = Math.Min(texts[next].Length, MaxTokens);
            if (_batch.Count + length > _context.BatchTokens)
                break;

            for (var position = 0; position < length; position++)
            {
                // A text that is cut keeps its last token: the separator an encoder expects at the end.
                var token = position == length - 1 ? texts[next][^1] : texts[next][position];
                _batch.Add(token, position, next - first, output: true);
            }

            next++;
        }

        return next;
    }

    private static float[] Normalize(ReadOnlySpan<float> vector)
    {
        var squares = 0d;
        foreach (var value in vector)
            squares += (double)value * value;

        var scale = squares > 0 ? (float)(1 / Math.Sqrt(squares)) : 0;
        var normalized = vector.ToArray();
        for (var i = 0; i < normalized.Length; i++)
            normalized[i] *= scale;
        return normalized;
    }
}
