using Grpc.AspNetCore.HealthChecks;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Grpc.Health;

/// <summary>grpc.health.v1.Health over ASP.NET Core's health checks.</summary>
internal sealed class HealthCheckGrpcService(
    HealthCheckService checks, HealthState state, IOptions<GrpcHealthChecksOptions> options, IHostApplicationLifetime lifetime)
    : V1.Health.HealthBase
{
    public override async Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) => new()
    {
        Status = await CurrentAsync(request.Service, context.CancellationToken).ConfigureAwait(false)
            ?? throw new RpcException(new Core.Status(StatusCode.NotFound, string.Empty)),
    };

    public override async Task Watch(
        HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        HealthCheckResponse.Types.ServingStatus? sent = null;
        try
        {
            while (true)
            {
                var changed = state.Changed;
                // The first answer is fresh; later ones follow the publisher.
                var status = sent is null
                    ? await CurrentAsync(request.Service, ending.Token).ConfigureAwait(false) ?? HealthCheckResponse.Types.ServingStatus.ServiceUnknown
                    : state.Published(request.Service) ?? sent.Value;
                if (status != sent)
                    await responseStream.WriteAsync(new HealthCheckResponse { Status = status }, ending.Token).ConfigureAwait(false);
                sent = status;
                await changed.WaitAsync(ending.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!context.CancellationToken.IsCancellationRequested)
        {
            // The server is stopping.
            var last = new HealthCheckResponse { Status = HealthCheckResponse.Types.ServingStatus.NotServing };
            await responseStream.WriteAsync(last, context.CancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<HealthCheckResponse.Types.ServingStatus?> CurrentAsync(string service, CancellationToken cancellationToken)
    {
        if (!options.Value.Services.TryGet(service, out var mapping))
            return null;
        if (options.Value.UseHealthChecksCache)
            return state.Published(service);
        var report = await checks.CheckHealthAsync(
            registration => mapping.HealthCheckPredicate(new HealthCheckMapContext(registration.Name, registration.Tags)),
            cancellationToken).ConfigureAwait(false);
        return HealthServiceStatus.Of(report, _ => true);
    }
}
