namespace Fleet.Inference.Engine.Embedding;

/// <summary>
/// Decides which texts are computed together. Pure; one caller at a time.
/// <para>
/// A batch takes one text from each caller in turn, and within a caller one from each request in turn, so that 2,048 texts of one call never
/// keep a single query waiting: whoever comes is in the next batch. Who finds no room keeps the place at the front, and the first
/// of a batch always fits, so nobody starves. Interactive work goes first; bulk work takes what is left, and leads with one text after
/// <see cref="BatchesWithoutBulk"/> batches that left it nothing.
/// </para>
/// </summary>
/// <param name="batchTokens">Tokens computed together; a longer text goes alone.</param>
/// <param name="batchTexts">Texts computed together.</param>
internal sealed class TextBatcher(int batchTokens, int batchTexts)
{
    public const int BatchesWithoutBulk = 3;

    private readonly Turns _interactive = new();
    private readonly Turns _bulk = new();
    private int _withoutBulk;

    /// <summary>Tokens of texts not yet taken.</summary>
    public long WaitingTokens => _interactive.WaitingTokens + _bulk.WaitingTokens;

    public bool IsEmpty => _interactive.IsEmpty && _bulk.IsEmpty;

    public void Add(TextRequest request) => TurnsOf(request).Add(request);

    /// <summary>Forgets what has not been taken.</summary>
    public void Remove(TextRequest request) => TurnsOf(request).Remove(request);

    /// <summary>The next batch; empty when nothing waits.</summary>
    public IReadOnlyList<TextWork> Next()
    {
        var batch = new List<TextWork>();
        var room = batchTokens;
        if (_withoutBulk >= BatchesWithoutBulk)
            _bulk.Fill(batch, ref room, batchTexts, limit: 1);

        _interactive.Fill(batch, ref room, batchTexts, limit: int.MaxValue);
        _bulk.Fill(batch, ref room, batchTexts, limit: int.MaxValue);
        _withoutBulk = _bulk.IsEmpty || batch.Exists(work => work.Request.Requester.Lane == Lane.Batch) ? 0 : _withoutBulk + 1;
        return batch;
    }

    private Turns TurnsOf(TextRequest request) => request.Requester.Lane == Lane.Batch ? _bulk : _interactive;

    /// <summary>Callers in the order of their turns; the front is next.</summary>
    private sealed class Turns
    {
        private readonly LinkedList<Caller> _callers = [];

        public bool IsEmpty => _callers.Count == 0;

        public long WaitingTokens => _callers.Sum(caller => caller.Requests.Sum(request => request.WaitingTokens));

        public void Add(TextRequest request)
        {
            var key = (request.Requester.TenantId, request.Requester.UserId);
            var caller = _callers.FirstOrDefault(caller => caller.Key == key);
            if (caller is null)
                _callers.AddLast(caller = new Caller(key));
            caller.Requests.AddLast(request);
        }

        public void Remove(TextRequest request)
        {
            var caller = _callers.FirstOrDefault(caller => caller.Requests.Remove(request));
            if (caller is { Requests.Count: 0 })
                _callers.Remove(caller);
        }

        public void Fill(List<TextWork> batch, ref int room, int maxTexts, int limit)
        {
            // Who does not fit now will not fit later in this batch either: each is passed over once, and keeps its place.
            var passed = _callers.First;
            while (passed is not null && limit > 0 && room > 0 && batch.Count < maxTexts)
            {
                var node = passed;
                if (!node.Value.TryTake(room, any: batch.Count == 0, out var work))
                {
                    passed = node.Next;
                    continue;
                }

                batch.Add(work);
                room -= Math.Min(room, work.Tokens.Length);
                limit--;

                // To the back of the turns; the next in line is looked at, those passed over stay in front.
                passed = node.Next ?? node;
                var isLast = node.Next is null;
                _callers.Remove(node);
                if (node.Value.Requests.Count > 0)
                    _callers.AddLast(node);
                else if (isLast)
                    passed = null;
            }
        }
    }

    private sealed class Caller((string Tenant, string User) key)
    {
        public (string Tenant, string User) Key => key;

        /// <summary>In the order of their turns; all have texts waiting.</summary>
        public LinkedList<TextRequest> Requests { get; } = [];

        public bool TryTake(int room, bool any, out TextWork work)
        {
            for (var node = Requests.First; node is not null; node = node.Next)
            {
                if (!node.Value.TryTake(room, any, out work))
                    continue;

                Requests.Remove(node);
                if (node.Value.HasWaiting)
                    Requests.AddLast(node);
                return true;
            }

            work = default;
            return false;
        }
    }
}
