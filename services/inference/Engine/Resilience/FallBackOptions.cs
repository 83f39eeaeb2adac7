using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Resilience;

/// <summary>Which models answer for one that cannot.</summary>
internal sealed class FallBackOptions
{
    public const string SectionName = "Inference";

    /// <summary>Default: none. A list, not a dictionary, because model ids may hold the colon that separates configuration keys.</summary>
    public IList<FallBackChain> FallBack { get; } = [];
}

/// <summary>What answers when a model fails before its first token.</summary>
internal sealed class FallBackChain
{
    public string Model { get; set; } = "";

    /// <summary>Tried in this order. Their own chains are not followed: this is the whole of it.</summary>
    public IList<string> Then { get; } = [];
}

internal sealed class FallBackOptionsValidator : IValidateOptions<FallBackOptions>
{
    public ValidateOptionsResult Validate(string? name, FallBackOptions options)
    {
        var problems = options.FallBack
            .Where(chain => chain.Model.Length == 0 || chain.Then.Any(string.IsNullOrWhiteSpace) || chain.Then.Contains(chain.Model) || chain.Then.Distinct().Count() != chain.Then.Count)
            .Select(chain => $"Inference:FallBack: the chain of '{chain.Model}' must name other models, each once.")
            .Concat(options.FallBack.GroupBy(chain => chain.Model).Where(chains => chains.Count() > 1).Select(chains => $"Inference:FallBack: '{chains.Key}' has two chains."))
            .ToList();
        return problems.Count > 0 ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
