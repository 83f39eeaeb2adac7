using System.Collections.Concurrent;
using Fleet.Contracts.Inference.V1;
using Fleet.Knowledge.Telemetry;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Grpc.Core;
using Grpc.Net.Client;

namespace Fleet.Knowledge.Clients;

internal sealed record EmbeddingBatch(string Space, string Model, int Dimensions, IReadOnlyList<float[]> Vectors);

/// <summary>Inference does not embed now but may later: worth another try.</summary>
internal sealed class EmbeddingsUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Connections to the replicas of inference, kept for the life of the process.</summary>
internal sealed class InferenceChannels(ServiceAddresses addresses) : IDisposable
{
    private readonly ConcurrentDictionary<Uri, GrpcChannel> _channels = new();
    private int _next;

    /// <summary>Every replica once, beginning with a different one each time.</summary>
    public IEnumerable<CallInvoker> InTurn()
    {
        var replicas = addresses.Resolve("inference", "grpc");
        var first = (int)((uint)Interlocked.Increment(ref _next) % (uint)replicas.Count);
        for (var i = 0; i < replicas.Count; i++)
            yield return _channels.GetOrAdd(replicas[(first + i) % replicas.Count], address => GrpcChannel.ForAddress(address)).CreateCallInvoker();
    }

    public void Dispose()
    {
        foreach (var channel in _channels.Values)
            channel.Dispose();
    }
}

/// <summary>Embeddings from inference, with this service's own token: permission was checked here, on our data.</summary>
internal sealed class InferenceClient(InferenceChannels channels, ServiceTokenSource tokens, KnowledgeMetrics metrics, TimeProvider time)
{
    /// <param name="ownerId">Who the work is for; inference shares the device fairly by it.</param>
    /// <param name="isBatchWork">False when a person waits for the answer.</param>
    /// <exception cref="EmbeddingsUnavailableException">No replica answered usably; trying later may help.</exception>
    public async Task<EmbeddingBatch> EmbedAsync(
        Guid ownerId, IReadOnlyList<string> texts, TimeSpan timeout, bool isBatchWork, CancellationToken cancellationToken)
    {
        var request = new EmbedRequest
        {
            Truncate = true,
            Caller = new Caller { UserId = ownerId.ToString(), Lane = isBatchWork ? Lane.Embeddings : Lane.Interactive },
        };
        request.Texts.AddRange(texts);

        var started = time.GetTimestamp();
        var response = await CallAsync(request, timeout, cancellationToken);
        metrics.Embedded(texts.Count, time.GetElapsedTime(started));

        if (response.Embeddings.Count != texts.Count || response.Dimensions <= 0 || response.Space.Length == 0
            || response.Embeddings.Any(embedding => embedding.Values.Count != response.Dimensions))
        {
            throw new EmbeddingsUnavailableException("Inference answered with embeddings that do not fit the request.");
        }

        return new EmbeddingBatch(response.Space, response.Model, response.Dimensions, [.. response.Embeddings.Select(embedding => embedding.Values.ToArray())]);
    }

    private async Task<EmbedResponse> CallAsync(EmbedRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            var headers = new Metadata { { "authorization", "Bearer " + await tokens.GetTokenAsync(cancellationToken) } };
            RpcException? last = null;
            foreach (var invoker in channels.InTurn())
            {
                try
                {
                    return await new Inference.InferenceClient(invoker).EmbedAsync(
                        request, headers, time.GetUtcNow().UtcDateTime + timeout, cancellationToken);
                }
                catch (RpcException exception) when (exception.StatusCode is StatusCode.Unavailable or StatusCode.ResourceExhausted)
                {
                    // The next replica may be free.
                    last = exception;
                }
            }

            throw new EmbeddingsUnavailableException($"No replica of inference takes embeddings now ({last?.StatusCode}).", last);
        }
        catch (RpcException exception) when (!cancellationToken.IsCancellationRequested)
        {
            // InvalidArgument and the like are no fault of the document either: a model may be misconfigured. Attempts are bounded.
            throw new EmbeddingsUnavailableException($"Inference refused to embed ({exception.StatusCode}).", exception);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Cancelled)
        {
            throw new OperationCanceledException("Embedding was cancelled.", exception, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or InvalidOperationException)
        {
            throw new EmbeddingsUnavailableException("Inference cannot be called: no token or no address.", exception);
        }
    }
}

internal static class InferenceClientExtensions
{
    public static void AddInferenceClient(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<InferenceChannels>();
        // Scoped, because the token source holds an HttpClient that is not to be kept for ever.
        builder.Services.AddScoped<InferenceClient>();
        builder.Services.AddSingleton<KnowledgeMetrics>();
    }
}
