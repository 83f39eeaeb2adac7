using System.Diagnostics;
using System.Runtime.CompilerServices;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>
/// The chat model that is always there: it quotes the passages instead of generating. Stateless and deterministic; streams word by
/// word like any other model, honours stop sequences, the token limit and continuation.
/// </summary>
internal sealed class ExtractiveEngine(TimeProvider time) : ITextGenerator
{
    public const string Id = "fleet-extractive";

    private int _running;

    public EngineActivity Activity => new(Volatile.Read(ref _running), 0, []);

    public TokenList Tokenize(string text) => new([], ApproximateTokens.Count(text));

    public TokenList Tokenize(IReadOnlyList<ChatMessage> messages, IReadOnlyList<Tool> tools) => new([], messages.Sum(message => ApproximateTokens.Count(message.Content)));

    public async IAsyncEnumerable<GenerationEvent> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Interlocked.Increment(ref _running);
        try
        {
            var arrived = time.GetTimestamp();

            // Not the passages: callers have written them into the messages too, and a caller counts what it sent.
            var promptTokens = Tokenize(request.Messages, []).Count + ApproximateTokens.Count(request.Prompt);
            yield return new GenerationStarted(promptTokens, CachedTokens: 0, Queued: TimeSpan.Zero);

            var answer = Remaining(AnswerComposer.Compose(request), request.ContinueFrom);
            var composed = time.GetElapsedTime(arrived);

            var stop = new StopSequenceMatcher(request.Stop);
            var reason = FinishReason.Stop;
            var tokens = 0;
            foreach (var word in WordsWithSpaces(answer))
            {
                var cost = ApproximateTokens.Count(word);
                if (request.MaxTokens > 0 && tokens + cost > request.MaxTokens)
                {
                    reason = FinishReason.Length;
                    break;
                }

                tokens += cost;
                var text = stop.Append(word);
                if (text.Length > 0)
                    yield return GenerationDelta.OfText(text);
                if (stop.Matched)
                    break;

                // Lets the transport send this word before the next: the stream is real, not a block cut into pieces.
                await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
            }

            if (stop.Flush() is { Length: > 0 } rest)
                yield return GenerationDelta.OfText(rest);

            var total = time.GetElapsedTime(arrived);
            yield return new GenerationFinished(reason, promptTokens, tokens, new GenerationTimings(TimeSpan.Zero, composed, total - composed, composed));
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    // The answer is deterministic, so an earlier attempt's text is its beginning; if the passages changed in between, nothing is repeated either.
    private static string Remaining(string answer, string continueFrom) =>
        continueFrom.Length == 0 ? answer
        : answer.StartsWith(continueFrom, StringComparison.Ordinal) ? answer[continueFrom.Length..]
        : "\n\n" + answer;

    private static IEnumerable<string> WordsWithSpaces(string text)
    {
        var start = 0;
        for (var i = 1; i < text.Length; i++)
        {
            Debug.Assert(start < i, "a word is never empty");
            if (char.IsWhiteSpace(text[i - 1]) && !char.IsWhiteSpace(text[i]))
            {
                yield return text[start..i];
                start = i;
            }
        }

        if (start < text.Length)
            yield return text[start..];
    }
}
