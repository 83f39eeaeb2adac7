using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.Clients;

/// <summary>What a reply consists of, over however many attempts: one Started, any number of Deltas, one Finished for each choice.</summary>
internal abstract record GenerationUpdate
{
    /// <param name="Model">The model that answers, after defaults.</param>
    public sealed record Started(string Model, int PromptTokens, int CachedTokens) : GenerationUpdate;

    public sealed record Delta(string Text, int Tokens, IReadOnlyList<TokenLogprob> Logprobs) : GenerationUpdate
    {
        /// <summary>0-based.</summary>
        public int Choice { get; init; }

        /// <summary>The model's thinking, apart from its answer.</summary>
        public string Reasoning { get; init; } = "";

        public IReadOnlyList<ToolCallDelta> ToolCalls { get; init; } = [];

        public bool IsEmpty => Text.Length == 0 && Reasoning.Length == 0 && Logprobs.Count == 0 && ToolCalls.Count == 0;
    }

    public sealed record Finished(FinishReason Reason, int PromptTokens, int CachedTokens, int CompletionTokens) : GenerationUpdate
    {
        /// <summary>0-based.</summary>
        public int Choice { get; init; }

        public int ReasoningTokens { get; init; }

        /// <summary>Speculative decoding: tokens guessed, and those of them that were right.</summary>
        public (int Drafted, int Accepted) Prediction { get; init; }

        /// <summary>As the OpenAI API names it.</summary>
        public string ReasonText => Reason switch { FinishReason.Length => "length", FinishReason.ToolCalls => "tool_calls", _ => "stop" };
    }
}
