using System.IO.Compression;
using Grpc.AspNetCore.Server;
using Grpc.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.Server;

/// <summary>The options of one service with the global ones folded in.</summary>
internal sealed record ServerOptions(
    int? MaxReceiveBytes,
    int? MaxSendBytes,
    bool DetailedErrors,
    CompressionLevel? GzipLevel,
    IReadOnlyList<InterceptorRegistration> Interceptors,
    ILogger Logger)
{
    public static ServerOptions Resolve<TService>(IServiceProvider services)
        where TService : class
    {
        var all = services.GetRequiredService<IOptions<GrpcServiceOptions>>().Value;
        var own = services.GetRequiredService<IOptions<GrpcServiceOptions<TService>>>().Value;
        var algorithm = own.ResponseCompressionAlgorithm ?? all.ResponseCompressionAlgorithm;
        if (algorithm is not (null or GrpcProtocol.Gzip or GrpcProtocol.Identity))
            throw new NotSupportedException($"{nameof(GrpcServiceOptions)}.{nameof(GrpcServiceOptions.ResponseCompressionAlgorithm)} '{algorithm}'");

        return new ServerOptions(
            own.ReceiveLimit(all.ReceiveLimit(GrpcProtocol.DefaultMaxReceiveMessageSize)),
            own.MaxSendMessageSize ?? all.MaxSendMessageSize,
            own.EnableDetailedErrors ?? all.EnableDetailedErrors ?? false,
            algorithm == GrpcProtocol.Gzip ? own.ResponseCompressionLevel ?? all.ResponseCompressionLevel ?? CompressionLevel.Fastest : null,
            [.. all.Interceptors, .. own.Interceptors],
            services.GetRequiredService<ILoggerFactory>().CreateLogger("Grpc.AspNetCore.Server.ServerCallHandler"));
    }
}
