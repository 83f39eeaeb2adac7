using System.Text;
using Fleet.Chat.Clients;
using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.OpenAi;

/// <summary>One choice of a completion that is sent whole, as its pieces arrive.</summary>
internal sealed class CompletionChoice
{
    public StringBuilder Text { get; } = new();

    public StringBuilder Reasoning { get; } = new();

    public List<TokenLogprob> Logprobs { get; } = [];

    /// <summary>By index, which is dense.</summary>
    public List<Call> ToolCalls { get; } = [];

    public GenerationUpdate.Finished? Finished { get; set; }

    public void Add(GenerationUpdate.Delta delta)
    {
        Text.Append(delta.Text);
        Reasoning.Append(delta.Reasoning);
        Logprobs.AddRange(delta.Logprobs);
        foreach (var call in delta.ToolCalls)
        {
            if (call.Index == ToolCalls.Count) ToolCalls.Add(new Call(call.Id, call.Name, new StringBuilder()));
            ToolCalls[call.Index].Arguments.Append(call.Arguments);
        }
    }

    internal sealed record Call(string Id, string Name, StringBuilder Arguments);
}
