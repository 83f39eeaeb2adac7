using Grpc.AspNetCore.ClientFactory;
using Grpc.AspNetCore.Server;
using Grpc.Net.ClientFactory;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection
{
    public static class GrpcServerHttpClientBuilderExtensions
    {
        /// <summary>Calls made while serving a gRPC call take over its deadline, where it is earlier, and its cancellation.</summary>
        public static IHttpClientBuilder EnableCallContextPropagation(this IHttpClientBuilder builder) =>
            builder.EnableCallContextPropagation(_ => { });

        public static IHttpClientBuilder EnableCallContextPropagation(
            this IHttpClientBuilder builder, Action<GrpcContextPropagationOptions> configureOptions)
        {
            ArgumentNullException.ThrowIfNull(builder);
            builder.Services.TryAddSingleton<IHttpContextAccessor, HttpContextAccessor>();
            builder.Services.Configure(builder.Name, configureOptions);
            return builder.Configure((services, options) =>
            {
                var accessor = services.GetRequiredService<IHttpContextAccessor>();
                var own = services.GetRequiredService<IOptionsMonitor<GrpcContextPropagationOptions>>().Get(builder.Name);
                options.CallOptionsActions.Add(call => Propagate(call, accessor.HttpContext, own, builder.Name));
            });
        }

        private static void Propagate(CallOptionsContext call, HttpContext? httpContext, GrpcContextPropagationOptions options, string name)
        {
            if (httpContext?.Features.Get<IServerCallContextFeature>() is { ServerCallContext: var context })
                call.CallOptions = call.CallOptions.WithPropagationToken(context.CreatePropagationToken());
            else if (!options.SuppressContextNotFoundErrors)
                throw new InvalidOperationException($"The gRPC client '{name}' propagates the call context, but no gRPC call is being served.");
        }
    }
}

namespace Grpc.AspNetCore.ClientFactory
{
    public class GrpcContextPropagationOptions
    {
        /// <summary>Whether a client may be used outside a gRPC call; off by default, which throws.</summary>
        public bool SuppressContextNotFoundErrors { get; set; }
    }
}
