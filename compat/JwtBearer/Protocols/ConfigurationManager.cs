using System.Diagnostics.CodeAnalysis;
using Microsoft.IdentityModel.Tokens;

namespace Microsoft.IdentityModel.Protocols;

/// <summary>
/// A fetched configuration, cached. It is fetched again after the automatic refresh interval, or sooner when a refresh
/// was requested, but never more often than the refresh interval. While the server is down the last configuration holds.
/// </summary>
/// <remarks>One fetch at a time; during a routine refresh other callers go on with the configuration they have.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "The original is not disposable, and the semaphore holds no handle: WaitHandle is never read.")]
public class ConfigurationManager<T>(string metadataAddress, IConfigurationRetriever<T> configRetriever, IDocumentRetriever docRetriever)
    : BaseConfigurationManager, IConfigurationManager<T>
    where T : class
{
    private readonly SemaphoreSlim _fetching = new(1, 1);
    private volatile State? _state;
    private volatile bool _refreshRequested;

    public ConfigurationManager(string metadataAddress, IConfigurationRetriever<T> configRetriever)
        : this(metadataAddress, configRetriever, new HttpDocumentRetriever())
    {
    }

    public ConfigurationManager(string metadataAddress, IConfigurationRetriever<T> configRetriever, HttpClient httpClient)
        : this(metadataAddress, configRetriever, new HttpDocumentRetriever(httpClient))
    {
    }

    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    public Task<T> GetConfigurationAsync() => GetConfigurationAsync(CancellationToken.None);

    public async Task<T> GetConfigurationAsync(CancellationToken cancel)
    {
        var state = _state;
        if (state is not null && !IsDue(state))
            return state.Configuration;

        var mustWait = state is null || _refreshRequested;
        if (!await _fetching.WaitAsync(mustWait ? Timeout.Infinite : 0, cancel).ConfigureAwait(false))
            return state!.Configuration;

        try
        {
            state = _state;
            if (state is not null && !IsDue(state))
                return state.Configuration;

            return await FetchAsync(state, cancel).ConfigureAwait(false);
        }
        finally
        {
            _fetching.Release();
        }
    }

    public override async Task<BaseConfiguration> GetBaseConfigurationAsync(CancellationToken cancel) =>
        await GetConfigurationAsync(cancel).ConfigureAwait(false) is BaseConfiguration known
            ? known
            : throw new NotSupportedException($"{nameof(ConfigurationManager<>)} of {typeof(T).Name} has no base configuration.");

    public override void RequestRefresh()
    {
        // A flood of tokens with invented key ids must not become a flood of requests.
        if (_state is { } state && Clock.GetUtcNow() >= state.TriedAt + RefreshInterval)
            _refreshRequested = true;
    }

    private bool IsDue(State state)
    {
        var now = Clock.GetUtcNow();
        return _refreshRequested || (now >= state.FetchedAt + AutomaticRefreshInterval && now >= state.TriedAt + RefreshInterval);
    }

    private async Task<T> FetchAsync(State? last, CancellationToken cancel)
    {
        var now = Clock.GetUtcNow();
        try
        {
            var configuration = await configRetriever.GetConfigurationAsync(metadataAddress, docRetriever, cancel).ConfigureAwait(false);
            _state = new State(configuration, FetchedAt: now, TriedAt: now);
            return configuration;
        }
        catch (Exception) when (last is not null && !cancel.IsCancellationRequested)
        {
            // The keys known so far stay good; the next try comes after the refresh interval.
            _state = last with { TriedAt = now };
            return last.Configuration;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw new InvalidOperationException($"No configuration could be obtained from '{metadataAddress}'.", exception);
        }
        finally
        {
            _refreshRequested = false;
        }
    }

    private sealed record State(T Configuration, DateTimeOffset FetchedAt, DateTimeOffset TriedAt);
}
