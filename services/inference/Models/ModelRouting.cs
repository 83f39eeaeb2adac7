using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Extractive;
using Fleet.Inference.Engine.NGram;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>
/// Which models a name stands for, in the order they are to be tried. A name is a model's id, <c>role:&lt;name&gt;</c>, or empty for the role of
/// the wanted kind. Says nothing about whether a model is loaded, healthy or even there: whoever tries the chain finds out. Thread-safe.
/// </summary>
internal sealed class ModelRouting(ModelCatalogue catalogue, IModelLoader loader, IOptions<ModelsOptions> options)
{
    public const string RolePrefix = "role:";

    private readonly ModelsOptions _options = options.Value;

    /// <summary>Never empty, no id twice. Throws <see cref="EngineException"/> for a role that nothing fills.</summary>
    public IReadOnlyList<string> Resolve(string name, ModelKind kind)
    {
        var chain = new List<string>();
        var first = name.Length == 0 ? Role(RoleOf(kind), kind) : Expand(name, kind);
        foreach (var id in first)
            Add(id);

        // What a model falls back to comes after everything that was asked for; a fall-back's own fall-backs are not followed.
        foreach (var id in first)
        {
            foreach (var next in _options.Of(id).FallBack.SelectMany(entry => Expand(entry, kind)))
                Add(next);
        }

        return chain;

        void Add(string id)
        {
            if (!chain.Contains(id, StringComparer.Ordinal))
                chain.Add(id);
        }
    }

    /// <summary>The roles a model was given by configuration, and that of its kind when it answers for it by default.</summary>
    public IReadOnlyList<string> RolesOf(string id, ModelKind kind)
    {
        var roles = _options.Roles.Where(role => role.Value.Contains(id, StringComparer.Ordinal)).Select(role => role.Key)
            .Concat(_options.Of(id).Roles);
        if (Default(kind) == id)
            roles = roles.Append(RoleOf(kind));
        return [.. roles.Select(role => role.ToLowerInvariant()).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>Answers when a request names no model; null when there is none of this kind.</summary>
    public string? Default(ModelKind kind)
    {
        if (Configured(RoleOf(kind)) is [var first, ..])
            return first;

        return kind switch
        {
            ModelKind.Chat when _options.DefaultChatModel.Length > 0 => _options.DefaultChatModel,
            ModelKind.Embedding when _options.DefaultEmbeddingModel.Length > 0 => _options.DefaultEmbeddingModel,
            ModelKind.Embedding => NGramEmbedder.Id,
            ModelKind.Reranker => FirstInstalled(ModelKind.Reranker),
            _ => (loader.Unavailable is null ? FirstInstalled(ModelKind.Chat) : null) ?? ExtractiveEngine.Id,
        };
    }

    private List<string> Expand(string name, ModelKind kind) =>
        name.StartsWith(RolePrefix, StringComparison.OrdinalIgnoreCase) ? Role(name[RolePrefix.Length..], kind) : [name];

    private List<string> Role(string role, ModelKind kind)
    {
        if (Configured(role) is { Count: > 0 } configured)
            return configured;

        // Roles of ordinary text work are filled by the default chat model until somebody chooses better. A guard is not ordinary text work:
        // a model that was not trained to judge must not pass as one.
        var fallsBackTo = role.ToLowerInvariant() switch
        {
            ModelRoles.Chat or ModelRoles.Orchestrator or ModelRoles.Description or ModelRoles.CustomerService => ModelKind.Chat,
            ModelRoles.Embedding => ModelKind.Embedding,
            ModelRoles.Reranker => ModelKind.Reranker,
            _ => throw new EngineException(EngineError.ModelNotFound, $"No model has the role {role}."),
        };
        return Default(fallsBackTo) is { } id
            ? [id]
            : throw new EngineException(EngineError.NotSupported, kind == ModelKind.Reranker ? "No reranking model is installed." : $"No model has the role {role}.");
    }

    private List<string> Configured(string role) =>
    [
        .. (_options.Roles.TryGetValue(role, out var models) ? models : [])
            .Concat(_options.Models.Where(model => model.Value.Roles.Contains(role, StringComparer.OrdinalIgnoreCase)).Select(model => IdOf(model.Key)).Order(StringComparer.Ordinal))
            .Distinct(StringComparer.Ordinal),
    ];

    // Configuration keys know no case (an environment variable may be all capitals); file names do.
    private string IdOf(string key) => catalogue.Models.FirstOrDefault(model => model.Id.Equals(key, StringComparison.OrdinalIgnoreCase))?.Id ?? key;

    private string? FirstInstalled(ModelKind kind) =>
        catalogue.Models.Where(model => model.Kind == kind && model is { Path: not null, Problem: null }).MinBy(model => model.Id, StringComparer.Ordinal)?.Id;

    private static string RoleOf(ModelKind kind) => kind switch
    {
        ModelKind.Embedding => ModelRoles.Embedding,
        ModelKind.Reranker => ModelRoles.Reranker,
        _ => ModelRoles.Chat,
    };
}

/// <summary>Roles Fleet itself asks for; configuration may name others.</summary>
internal static class ModelRoles
{
    public const string Chat = "chat";
    public const string Embedding = "embedding";
    public const string Reranker = "reranker";
    public const string Guard = "guard";
    public const string Orchestrator = "orchestrator";
    public const string Description = "description";
    public const string CustomerService = "customer-service";
}
