using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.Clients;

/// <summary>What inference can run, remembered for a few seconds so that validating a request costs no call.</summary>
internal sealed class ModelCatalogue(IServiceScopeFactory scopes, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    private volatile Entry? _entry;

    /// <exception cref="GenerationException">Inference does not answer.</exception>
    public async Task<IReadOnlyList<Model>> ListAsync(CancellationToken cancellationToken)
    {
        if (_entry is { } fresh && time.GetUtcNow() < fresh.Until) return fresh.Models;

        await using var scope = scopes.CreateAsyncScope();
        var response = await scope.ServiceProvider.GetRequiredService<InferenceClient>().ListModelsAsync(cancellationToken).ConfigureAwait(false);
        _entry = new Entry([.. response.Models], time.GetUtcNow() + Freshness);
        return _entry.Models;
    }

    /// <summary>Null when inference does not answer.</summary>
    public async Task<bool?> IsChatModelAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return (await ListAsync(cancellationToken).ConfigureAwait(false)).Any(model => model.Kind == ModelKind.Chat && model.Id == id);
        }
        catch (GenerationException)
        {
            return null;
        }
    }

    /// <summary>The named chat model, or the default one for null; null when it is not known now.</summary>
    public async Task<Model?> FindAsync(string? id, CancellationToken cancellationToken)
    {
        try
        {
            var models = (await ListAsync(cancellationToken).ConfigureAwait(false)).Where(model => model.Kind == ModelKind.Chat);
            return models.FirstOrDefault(model => id is null ? model.IsDefault : model.Id == id);
        }
        catch (GenerationException)
        {
            return null;
        }
    }

    private sealed record Entry(IReadOnlyList<Model> Models, DateTimeOffset Until);
}
