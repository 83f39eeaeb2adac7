using Fleet.Inference.Models;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Providers;

internal enum ProviderType
{
    /// <summary>Any server that speaks OpenAI's chat completions and embeddings.</summary>
    OpenAi,
    Anthropic,
    Gemini,

    /// <summary>Ollama's own API.</summary>
    Ollama,
}

/// <summary>Where models run that do not run here.</summary>
internal sealed class ProvidersOptions
{
    public const string SectionName = "Inference";

    /// <summary>By name, which begins the ids of its models: <c>name/model</c>. Default: none, and nothing leaves the fleet.</summary>
    public Dictionary<string, ProviderOptions> Providers { get; } = new(StringComparer.OrdinalIgnoreCase);
}

/// <summary>One provider: an account somewhere, or a server next door. An administrator chooses the address, so it may be a private one.</summary>
internal sealed class ProviderOptions
{
    public ProviderType Type { get; set; }

    /// <summary>With its version, as far as the type's paths go on from it; default: the type's public one, for Ollama http://localhost:11434/.</summary>
    public Uri? BaseAddress { get; set; }

    /// <summary>From configuration or environment only; never logged, never part of an error. Empty = none is sent.</summary>
    public string ApiKey { get; set; } = "";

    /// <summary>Lets a key travel over plain HTTP to another machine. Default no: refused at start.</summary>
    public bool AllowPlainHttp { get; set; }

    /// <summary>
    /// Type OpenAi: the server also takes what llama.cpp and vLLM add (top_k, min_p, penalties, continuation of the last message).
    /// Default no, because OpenAI itself refuses fields it does not know.
    /// </summary>
    public bool Extended { get; set; }

    /// <summary>What is offered from it; nothing else is.</summary>
    public IList<RemoteModelOptions> Models { get; } = [];

    /// <summary>To connect, name resolution and TLS included. Default 5 s; tried twice.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>From the request to the first piece of the reply. Default one minute.</summary>
    public TimeSpan FirstByteTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Between two pieces of a reply, keep-alives included. Default one minute.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>For the whole of one call. Default ten minutes.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Calls at a time; one more is refused. Default 64.</summary>
    public int MaxConcurrentCalls { get; set; } = 64;

    public Uri Address => WithSlash(BaseAddress ?? new Uri(Type switch
    {
        ProviderType.Anthropic => "https://api.anthropic.com/v1/",
        ProviderType.Gemini => "https://generativelanguage.googleapis.com/v1beta/",
        ProviderType.Ollama => "http://localhost:11434/",
        _ => "https://api.openai.com/v1/",
    }));

    // Relative paths replace what follows the last slash.
    private static Uri WithSlash(Uri uri) => uri.AbsoluteUri.EndsWith('/') ? uri : new Uri(uri.AbsoluteUri + "/");
}

internal sealed class RemoteModelOptions
{
    /// <summary>What follows the provider's name in the model's id.</summary>
    public string Id { get; set; } = "";

    /// <summary>What the provider calls it; default: <see cref="Id"/>.</summary>
    public string UpstreamId { get; set; } = "";

    public ModelKind Kind { get; set; }

    /// <summary>Prompt and reply together; 0 = unknown.</summary>
    public int ContextTokens { get; set; }

    /// <summary>Sent where the provider demands a limit and the request has none (Anthropic). Default 4096.</summary>
    public int MaxOutputTokens { get; set; } = 4096;

    /// <summary>Embedding models: the width of their vectors; needed, because it names the embedding space.</summary>
    public int Dimensions { get; set; }

    /// <summary>Embedding models: asks for <see cref="Dimensions"/> instead of only expecting them. Default no.</summary>
    public bool ShortenEmbeddings { get; set; }

    /// <summary>The model takes no sampling parameters (temperature, top_p, penalties), as reasoning models do; they are dropped. Default no.</summary>
    public bool FixedSampling { get; set; }

    /// <summary>Whether a reply can go on from given words. Default: Gemini, Ollama and extended OpenAI servers can, OpenAI's and Anthropic's newer models cannot.</summary>
    public bool? Continues { get; set; }

    /// <summary>Anthropic: reasoning takes a budget of tokens, as models before 4.6 do, instead of an effort. Default no.</summary>
    public bool ThinkingBudget { get; set; }

    public string NameUpstream => UpstreamId.Length > 0 ? UpstreamId : Id;
}

internal sealed class ProvidersOptionsValidator : IValidateOptions<ProvidersOptions>
{
    private static readonly System.Buffers.SearchValues<char> NameCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

    public ValidateOptionsResult Validate(string? name, ProvidersOptions options)
    {
        var problems = options.Providers.SelectMany(provider => Problems(provider.Key, provider.Value)).ToList();
        return problems.Count > 0 ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }

    // No value is repeated that could be a secret put into the wrong place.
    private static IEnumerable<string> Problems(string name, ProviderOptions provider)
    {
        var at = $"Inference:Providers:{name}";
        if (name.Length is 0 or > 64 || name.AsSpan().ContainsAnyExcept(NameCharacters))
            yield return $"{at}: a provider's name is 1 to 64 letters, digits, -, _ or .";
        if (!Enum.IsDefined(provider.Type))
            yield return $"{at}:Type must be OpenAi, Anthropic, Gemini or Ollama.";
        if (provider.BaseAddress is { } address && (!address.IsAbsoluteUri || address.Scheme is not ("http" or "https") || address.UserInfo.Length > 0 || address.Query.Length > 0))
            yield return $"{at}:BaseAddress must be an absolute http or https address without user, password or query.";
        else if (provider is { ApiKey.Length: > 0, AllowPlainHttp: false } && provider.Address is { Scheme: "http", IsLoopback: false })
            yield return $"{at}:BaseAddress would send the key over plain HTTP to another machine; use https, or set AllowPlainHttp.";
        if (provider.ApiKey.Any(c => c is < '!' or > '~'))
            yield return $"{at}:ApiKey holds characters that no key has.";
        if (provider is { Type: ProviderType.Anthropic or ProviderType.Gemini, ApiKey: "", BaseAddress: null })
            yield return $"{at}:ApiKey is needed.";
        foreach (var (limit, value) in ((string, TimeSpan)[])
            [("ConnectTimeout", provider.ConnectTimeout), ("FirstByteTimeout", provider.FirstByteTimeout), ("IdleTimeout", provider.IdleTimeout), ("Timeout", provider.Timeout)])
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
                yield return $"{at}:{limit} must be between 0 and one day.";
        }

        if (provider.MaxConcurrentCalls is < 1 or > 100_000)
            yield return $"{at}:MaxConcurrentCalls must be between 1 and 100000.";
        if (provider.Models.Count == 0)
            yield return $"{at}:Models is empty: nothing would be offered.";
        if (provider.Models.GroupBy(model => model.Id, StringComparer.Ordinal).Any(models => models.Count() > 1))
            yield return $"{at}:Models names a model twice.";
        foreach (var problem in provider.Models.SelectMany((model, i) => Problems($"{at}:Models:{i}", model, provider.Type)))
            yield return problem;
    }

    private static IEnumerable<string> Problems(string at, RemoteModelOptions model, ProviderType type)
    {
        if (model.Id.Length is 0 or > 150 || model.Id.Any(c => c is <= ' ' or > '~'))
            yield return $"{at}:Id must be 1 to 150 printable characters without spaces.";
        if (model.NameUpstream.Any(c => c is <= ' ' or > '~' or '?' or '#') || model.NameUpstream.Contains("..", StringComparison.Ordinal))
            yield return $"{at}:UpstreamId is not a model's name.";
        if (!Enum.IsDefined(model.Kind))
            yield return $"{at}:Kind must be Chat, Embedding or Reranker.";
        if (model.ContextTokens < 0 || model.MaxOutputTokens < 1)
            yield return $"{at}: ContextTokens must not be negative, MaxOutputTokens at least 1.";
        if (model is { Kind: ModelKind.Embedding, Dimensions: < 1 or > 65_536 })
            yield return $"{at}:Dimensions must be the width of its vectors.";
        if (model.Kind == ModelKind.Embedding && type == ProviderType.Anthropic)
            yield return $"{at}:Kind: Anthropic has no embedding models.";
        if (model.Kind == ModelKind.Reranker && type != ProviderType.OpenAi)
            yield return $"{at}:Kind: reranking needs a server of type OpenAi with a rerank route.";
    }
}
