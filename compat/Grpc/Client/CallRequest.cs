using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Wire;
using Microsoft.Extensions.Logging;

namespace Grpc.Client;

/// <summary>Builds the HTTP/2 request of one call.</summary>
internal static partial class CallRequest
{
    /// <param name="deadline">In UTC.</param>
    public static async Task<HttpRequestMessage> BuildAsync(
        GrpcChannel channel,
        IMethod method,
        string? host,
        CallOptions options,
        DateTime? deadline,
        HttpContent content,
        CancellationToken cancellationToken)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(channel.Address, method.FullName))
        {
            Content = content,
            // Cleartext HTTP/2 cannot be negotiated: both ends know it beforehand.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = host;
        request.Headers.TE.Add(new System.Net.Http.Headers.TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.TryAddWithoutValidation("User-Agent", "grpc-dotnet-compat/1.0");
        request.Headers.TryAddWithoutValidation(GrpcProtocol.AcceptEncodingHeader, GrpcProtocol.AcceptedEncodings);
        AddHeaders(request, options.Headers);
        await AddCredentialsAsync(request, channel, method, options.Credentials, cancellationToken).ConfigureAwait(false);
        if (deadline is { } end)
            request.Headers.TryAddWithoutValidation(GrpcProtocol.TimeoutHeader, GrpcProtocol.FormatTimeout(end - DateTime.UtcNow));
        return request;
    }

    private static async Task AddCredentialsAsync(
        HttpRequestMessage request, GrpcChannel channel, IMethod method, CallCredentials? own, CancellationToken cancellationToken)
    {
        if (own is null && channel.CallCredentials is null)
            return;
        if (!channel.IsSecure && !channel.SendsInsecureCallCredentials)
        {
            Log.CredentialsLeftOut(channel.Logger, method.FullName);
            return;
        }

        var serviceUrl = new Uri(channel.Address, method.ServiceName).AbsoluteUri;
        var context = new AuthInterceptorContext(serviceUrl, method.Name, cancellationToken);
        foreach (var credentials in new[] { channel.CallCredentials, own })
        {
            foreach (var interceptor in credentials?.Interceptors ?? [])
            {
                var metadata = new Metadata();
                await interceptor(context, metadata).WaitAsync(cancellationToken).ConfigureAwait(false);
                AddHeaders(request, metadata);
            }
        }
    }

    private static void AddHeaders(HttpRequestMessage request, Metadata? metadata)
    {
        foreach (var entry in metadata ?? Metadata.Empty)
        {
            if (entry.Key == "user-agent")
                request.Headers.Remove("User-Agent");
            if (!GrpcProtocol.IsReserved(entry.Key) && !request.Headers.TryAddWithoutValidation(entry.Key, entry.WireValue))
                throw new RpcException(new Status(StatusCode.Internal, $"The metadata entry '{entry.Key}' cannot be sent over HTTP."));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The call credentials of {Method} are left out: the channel is not encrypted.")]
        public static partial void CredentialsLeftOut(ILogger logger, string method);
    }
}
