using System.Runtime.CompilerServices;
using System.Text;
using Fleet.Inference.Engine.Chat;

namespace Fleet.Inference.Engine;

/// <summary>
/// The reader's half of a reply: what the model wrote becomes content, reasoning and tool calls here, on the caller's own thread, so that
/// the decode thread never parses.
/// </summary>
internal sealed class ReplyReader(Reply reply)
{
    private readonly IReplyParser _parser = reply.Parser;
    private readonly bool _plain = reply.Parser is PlainReplyParser;
    private readonly StringBuilder? _json = reply.FormatCheck is null ? null : new(reply.Request.ContinueFrom);
    private int _undecided;
    private bool _finished;
    private bool _beganAnotherCall;
    private int _reasoningTokens;

    public async IAsyncEnumerable<GenerationEvent> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var closing = new Closing(this);
        await foreach (var generationEvent in reply.Events.ReadAllAsync(cancellationToken))
        {
            switch (generationEvent)
            {
                case GenerationDelta delta:
                    yield return Parse(delta);
                    if (_beganAnotherCall)
                    {
                        yield return reply.EndHere(FinishReason.ToolCalls) with { ReasoningTokens = _reasoningTokens };
                        yield break;
                    }

                    break;
                case GenerationFinished finished:
                    if (Rest(finished) is { } rest)
                        yield return rest;
                    yield return End(finished);
                    break;
                default:
                    yield return generationEvent;
                    break;
            }
        }
    }

    private GenerationDelta Parse(GenerationDelta delta)
    {
        if (_plain)
        {
            _json?.Append(delta.Text);
            return delta;
        }

        // Tokens the parser still thinks about count as what they turn out to be.
        _undecided += delta.TokenIds.Count;
        return Parsed(delta, _parser.Append(delta.Text));
    }

    private GenerationDelta Parsed(GenerationDelta delta, ParsedDelta parsed)
    {
        if (parsed.Reasoning.Length > 0)
            _reasoningTokens += _undecided;
        if (parsed.Reasoning.Length > 0 || parsed.Content.Length > 0 || parsed.ToolCalls.Count > 0)
            _undecided = 0;
        _json?.Append(parsed.Content);
        if (!reply.Request.ParallelToolCalls && parsed.ToolCalls.Any(call => call.Index > 0))
        {
            // Not every family's grammar stops a model after one call.
            _beganAnotherCall = true;
            parsed = parsed with { ToolCalls = [.. parsed.ToolCalls.Where(call => call.Index == 0)] };
        }

        return delta with { Text = parsed.Content, Reasoning = parsed.Reasoning, ToolCalls = parsed.ToolCalls, Raw = delta.Text };
    }

    private GenerationDelta? Rest(GenerationFinished finished)
    {
        _finished = true;
        var rest = _parser.Finish(complete: finished.Reason == FinishReason.Stop);
        return rest is { Content: "", Reasoning: "", ToolCalls: [] } ? null : Parsed(GenerationDelta.OfText(""), rest);
    }

    private GenerationFinished End(GenerationFinished finished)
    {
        var reason = finished.Reason == FinishReason.Stop && _parser.HasToolCalls ? FinishReason.ToolCalls : finished.Reason;
        if (reason == FinishReason.Stop && _json is not null)
            Validate(_json.ToString());
        return finished with { Reason = reason, ReasoningTokens = _reasoningTokens };
    }

    // The grammar should make this impossible; a caller that asked for a format is never told "stop" on something else.
    private void Validate(string text)
    {
        if (reply.FormatCheck?.Problem(text) is { } problem)
            throw new EngineException(EngineError.Internal, $"The model's answer is not what was asked for: {problem}.");
    }

    // A parser may hold native memory, and a reply that was cancelled never finishes.
    private sealed class Closing(ReplyReader reader) : IDisposable
    {
        public void Dispose()
        {
            if (!reader._finished)
                reader._parser.Finish(complete: false);
        }
    }
}
