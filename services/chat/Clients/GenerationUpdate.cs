using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.Clients;

/// <summary>What a reply consists of, over however many attempts: one Started, any number of Deltas, one Finished.</summary>
internal abstract record GenerationUpdate
{
    /// <param name="Model">The model that answers, after defaults.</param>
    public sealed record Started(string Model, int PromptTokens, int CachedTokens) : GenerationUpdate;

    public sealed record Delta(string Text, int Tokens, IReadOnlyList<TokenLogprob> Logprobs) : GenerationUpdate;

    public sealed record Finished(FinishReason Reason, int PromptTokens, int CachedTokens, int CompletionTokens) : GenerationUpdate;
}
