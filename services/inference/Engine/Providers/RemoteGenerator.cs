using System.Runtime.CompilerServices;
using System.Text.Json;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Providers;

/// <summary>A chat model that runs at a provider. Holds no state but its counters; the provider queues.</summary>
internal sealed partial class RemoteGenerator(string id, ChatProtocol protocol, UpstreamClient upstream, TimeProvider time, ILogger logger) : ITextGenerator
{
    private int _running;

    public EngineActivity Activity => new(Volatile.Read(ref _running), 0, []);

    public TokenList Tokenize(string text) => new([], ApproximateTokens.Count(text));

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([],
        messages.Sum(message => ApproximateTokens.Count(message.Content) + message.ToolCalls.Sum(call => ApproximateTokens.Count(call.Name) + ApproximateTokens.Count(call.Arguments)))
        + tools.Sum(tool => ApproximateTokens.Count(tool.Name) + ApproximateTokens.Count(tool.Description) + ApproximateTokens.Count(tool.Parameters)));

    public async IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var adapted = protocol.Adapt(request);
        if (adapted.Dropped.Count > 0)
            Log.Dropped(logger, id, request.RequestId, string.Join(", ", adapted.Dropped));

        Interlocked.Increment(ref _running);
        try
        {
            var arrived = time.GetTimestamp();
            var estimate = Tokenize(request.Messages, request.Tools).Count;
            var reader = protocol.CreateReader(request, upstream);
            var stops = new StopSequenceMatcher(adapted.Stops);
            var calls = new ToolCallChecker(upstream, request.ParallelToolCalls);
            TimeSpan? firstToken = null;
            var said = 0;
            await foreach (var frame in upstream.StreamAsync(protocol.Path, adapted.Body, protocol.Format, cancellationToken))
            {
                if (frame.Data.Length == 0)
                {
                    // The first frame: the provider has taken the request. How long the prompt is it says later, if at all.
                    if (firstToken is null && frame.Event is null)
                        yield return new GenerationStarted(estimate, CachedTokens: 0, Queued: TimeSpan.Zero);
                    continue;
                }

                if (Read(reader, frame) is { } delta)
                {
                    delta = delta with { Text = stops.Append(delta.Text), ToolCalls = calls.Check(delta.ToolCalls) };
                    firstToken ??= time.GetElapsedTime(arrived);
                    if (delta is not { Text: "", Reasoning: "", ToolCalls.Count: 0, Logprobs.Count: 0 })
                    {
                        said += ApproximateTokens.Count(delta.Text) + ApproximateTokens.Count(delta.Reasoning) + delta.ToolCalls.Sum(call => ApproximateTokens.Count(call.Arguments));
                        yield return delta;
                    }
                }

                if (reader.Ended || stops.Matched)
                    break;
            }

            var ending = reader.Ending;
            if (stops.Matched)
                ending = ending with { Reason = FinishReason.Stop };
            else if (ending.Reason is null)
                throw upstream.Broken("the stream ended before the reply");
            if (stops.Flush() is { Length: > 0 } rest)
                yield return GenerationDelta.OfText(rest);

            calls.End(ending.Reason.Value);
            var total = time.GetElapsedTime(arrived);
            var prefill = firstToken ?? total;
            var reason = calls.Any && ending.Reason == FinishReason.Stop ? FinishReason.ToolCalls : ending.Reason.Value;
            yield return new GenerationFinished(reason, ending.PromptTokens ?? estimate, ending.CompletionTokens ?? said, new GenerationTimings(TimeSpan.Zero, prefill, total - prefill, prefill))
            {
                CachedTokens = ending.CachedTokens,
                ReasoningTokens = ending.ReasoningTokens ?? 0,
                StopSequence = ending.StopSequence,
            };
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private GenerationDelta? Read(IReplyReader reader, Frame frame)
    {
        try
        {
            return reader.Read(frame);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            // Half a character as an escape, a number where a text belongs, no JSON at all.
            throw upstream.Broken("a message cannot be read");
        }
    }

    /// <summary>Holds a provider to what callers rely on: dense indexes, name and id first, and one call a turn unless more were allowed.</summary>
    private sealed class ToolCallChecker(UpstreamClient upstream, bool parallel)
    {
        private readonly List<int> _seen = [];

        public bool Any => _seen.Count > 0;

        public IReadOnlyList<ToolCallDelta> Check(IReadOnlyList<ToolCallDelta> calls)
        {
            if (calls.Count == 0)
                return calls;

            var checkedCalls = new List<ToolCallDelta>(calls.Count);
            foreach (var call in calls)
            {
                var index = _seen.IndexOf(call.Index);
                if (index < 0)
                {
                    if (call.Name.Length == 0)
                        throw upstream.Broken("a tool call has no name");
                    index = _seen.Count;
                    _seen.Add(call.Index);
                    checkedCalls.Add(call with { Index = index, Id = call.Id.Length > 0 ? call.Id : $"call_{Guid.NewGuid():N}" });
                }
                else
                {
                    checkedCalls.Add(new ToolCallDelta(index, "", "", call.Arguments));
                }
            }

            return parallel ? checkedCalls : [.. checkedCalls.Where(call => call.Index == 0)];
        }

        public void End(FinishReason reason)
        {
            if (reason == FinishReason.ToolCalls && !Any)
                throw upstream.Broken("tool calls were announced and none came");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Debug, Message = "Model {Model} is not told {Parameters} of request {RequestId}")]
        public static partial void Dropped(ILogger logger, string model, string requestId, string parameters);
    }
}
