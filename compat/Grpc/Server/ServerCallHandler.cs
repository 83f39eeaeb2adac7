using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Grpc.Server;

/// <summary>
/// Runs one call: 1. is it a gRPC request, 2. activate the service and its interceptors, 3. run the method,
/// 4. turn its outcome into a status, 5. end the call.
/// </summary>
internal abstract partial class ServerCallHandler<TService, TRequest, TResponse>(Method<TRequest, TResponse> method, ServerOptions options)
    where TService : class
    where TRequest : class
    where TResponse : class
{
    private static readonly ObjectFactory<TService> Factory = ActivatorUtilities.CreateFactory<TService>([]);

    protected Method<TRequest, TResponse> Method { get; } = method;

    public async Task HandleAsync(HttpContext httpContext)
    {
        if (!IsGrpcRequest(httpContext))
            return;

        // Messages have their own limit; a stream as a whole has none, and a quiet one is not a slow one.
        if (httpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (Method.Type is MethodType.ClientStreaming or MethodType.DuplexStreaming
            && httpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;

        var call = new HttpServerCallContext(httpContext, Method, options);
        await using var disposal = call.ConfigureAwait(false);
        httpContext.Features.Set<IServerCallContextFeature>(call);
        call.Start();
        var (status, trailers) = await RunAsync(call).ConfigureAwait(false);
        await call.EndAsync(status, trailers, complete: false).ConfigureAwait(false);
    }

    /// <summary>Reads what the method takes, runs it through the interceptors and writes what it returns.</summary>
    protected abstract Task InvokeAsync(
        HttpServerCallContext call, MessageReader reader, MessageWriter writer, IReadOnlyList<Interceptor> interceptors);

    protected static async Task<TResult> WithServiceAsync<TResult>(ServerCallContext context, Func<TService, Task<TResult>> use)
    {
        var services = context.GetHttpContext().RequestServices;
        if (services.GetService<TService>() is { } registered)
            return await use(registered).ConfigureAwait(false);

        var own = Factory(services, []);
        try
        {
            return await use(own).ConfigureAwait(false);
        }
        finally
        {
            await DisposeAsync(own).ConfigureAwait(false);
        }
    }

    protected async Task<TRequest> ReadRequestAsync(HttpServerCallContext call, MessageReader reader) =>
        await reader.ReadSingleAsync(Method.RequestMarshaller.ContextualDeserializer, call.CancellationToken).ConfigureAwait(false)
        ?? throw new RpcException(new Status(StatusCode.Internal, "Incomplete message."));

    protected async Task WriteResponseAsync(HttpServerCallContext call, MessageWriter writer, TResponse? response)
    {
        if (response is null)
            throw new RpcException(new Status(StatusCode.Cancelled, "No message returned from method."));
        if (call.Status.StatusCode != StatusCode.OK)
            return;
        // No flush: the message, and the trailers that follow at once, leave together.
        await call.WriteMessageAsync(
            response,
            writer,
            Method.ResponseMarshaller.ContextualSerializer,
            call.WriteOptions,
            flush: false,
            call.CancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask DisposeAsync(object instance)
    {
        if (instance is IAsyncDisposable asynchronous)
            await asynchronous.DisposeAsync().ConfigureAwait(false);
        else
            (instance as IDisposable)?.Dispose();
    }

    private static bool IsGrpcRequest(HttpContext httpContext)
    {
        var response = httpContext.Response;
        if (!GrpcProtocol.IsGrpcContentType(httpContext.Request.ContentType))
        {
            response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return false;
        }

        if (!HttpProtocol.IsHttp2(httpContext.Request.Protocol) && !HttpProtocol.IsHttp3(httpContext.Request.Protocol))
        {
            response.StatusCode = StatusCodes.Status426UpgradeRequired;
            response.Headers.Upgrade = "h2c";
            return false;
        }

        var encoding = httpContext.Request.Headers[GrpcProtocol.EncodingHeader].ToString();
        if (encoding is not ("" or GrpcProtocol.Identity or GrpcProtocol.Gzip))
        {
            UnimplementedMethod.WriteTrailersOnly(response, StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{encoding}'.");
            response.Headers[GrpcProtocol.AcceptEncodingHeader] = GrpcProtocol.AcceptedEncodings;
            return false;
        }

        return true;
    }

    [SuppressMessage("Design", "CA1031", Justification = "This is the boundary where every exception becomes a status.")]
    private async Task<(Status Status, Metadata? Trailers)> RunAsync(HttpServerCallContext call)
    {
        var owned = new List<object>();
        var httpContext = call.HttpContext;
        try
        {
            var interceptors = Activate(httpContext.RequestServices, owned);
            var reader = new MessageReader(httpContext.Request.BodyReader, call.RequestEncoding, options.MaxReceiveBytes);
            using var writer = new MessageWriter(
                httpContext.Response.BodyWriter, options.MaxSendBytes, call.UsesGzip ? options.GzipLevel : null);
            await InvokeAsync(call, reader, writer, interceptors).ConfigureAwait(false);
            return (call.Status, null);
        }
        catch (RpcException exception)
        {
            Log.CallFailed(options.Logger, Method.FullName, exception.StatusCode);
            return (exception.Status, exception.Trailers);
        }
        catch (Exception) when (call.DeadlinePassed)
        {
            return (new Status(StatusCode.DeadlineExceeded, "Deadline exceeded."), null);
        }
        catch (Exception exception) when (httpContext.RequestAborted.IsCancellationRequested
            || exception is ConnectionAbortedException or ConnectionResetException)
        {
            return (new Status(StatusCode.Cancelled, "The caller went away.", exception), null);
        }
        catch (Exception exception)
        {
            Log.MethodThrew(options.Logger, exception, Method.FullName);
            var detail = options.DetailedErrors
                ? string.Create(CultureInfo.InvariantCulture, $"Exception was thrown by handler. {exception.GetType().Name}: {exception.Message}")
                : "Exception was thrown by handler.";
            return (new Status(StatusCode.Unknown, detail, exception), null);
        }
        finally
        {
            foreach (var instance in owned)
                await DisposeAsync(instance).ConfigureAwait(false);
        }
    }

    private Interceptor[] Activate(IServiceProvider services, List<object> owned)
    {
        if (options.Interceptors.Count == 0)
            return [];
        var interceptors = new Interceptor[options.Interceptors.Count];
        for (var i = 0; i < interceptors.Length; i++)
        {
            interceptors[i] = options.Interceptors[i].Activate(services, out var isOwned);
            if (isOwned)
                owned.Add(interceptors[i]);
        }

        return interceptors;
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} ended with {StatusCode}.")]
        public static partial void CallFailed(ILogger logger, string method, StatusCode statusCode);

        [LoggerMessage(Level = LogLevel.Error, Message = "Error when executing service method '{Method}'.")]
        public static partial void MethodThrew(ILogger logger, Exception exception, string method);
    }
}
