using Grpc.Client;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Grpc.Net.Client;

/// <summary>Calls to one address over HTTP/2; connections are shared, kept alive and replaced by the handler underneath.</summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private static readonly TimeSpan KeepAlivePingDelay = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan KeepAlivePingTimeout = TimeSpan.FromSeconds(30);

    private readonly HashSet<IDisposable> _calls = [];
    private readonly HttpMessageInvoker _sender;
    private readonly bool _ownsSender;
    private bool _disposed;

    private GrpcChannel(Uri address, GrpcChannelOptions options)
        : base(address.Authority)
    {
        Address = address;
        IsSecure = address.Scheme == Uri.UriSchemeHttps;
        if (options.Credentials is { } credentials)
        {
            if (credentials.IsSecure != IsSecure)
                throw new InvalidOperationException($"The channel's credentials do not match the scheme of '{address}'.");
            if (credentials.CallCredentials is not null && !IsSecure && !options.UnsafeUseInsecureChannelCallCredentials)
                throw new InvalidOperationException("Call credentials need a secure channel.");
            CallCredentials = credentials.CallCredentials;
        }

        if (options.HttpClient is not null && options.HttpHandler is not null)
            throw new ArgumentException($"{nameof(options.HttpClient)} and {nameof(options.HttpHandler)} cannot both be set.", nameof(options));
        _ownsSender = options.DisposeHttpClient || options is { HttpClient: null, HttpHandler: null };
        _sender = options.HttpClient ?? new HttpMessageInvoker(options.HttpHandler ?? CreateHandler(), _ownsSender);
        MaxReceiveBytes = options.MaxReceiveMessageSize;
        MaxSendBytes = options.MaxSendMessageSize;
        ThrowCancellation = options.ThrowOperationCanceledOnCancellation;
        SendsInsecureCallCredentials = options.UnsafeUseInsecureChannelCallCredentials;
        var loggers = options.LoggerFactory ?? options.ServiceProvider?.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
        Logger = loggers.CreateLogger("Grpc.Net.Client.Internal.GrpcCall");
    }

    internal Uri Address { get; }

    internal bool IsSecure { get; }

    internal CallCredentials? CallCredentials { get; }

    internal int? MaxReceiveBytes { get; }

    internal int? MaxSendBytes { get; }

    internal bool ThrowCancellation { get; }

    internal bool SendsInsecureCallCredentials { get; }

    internal ILogger Logger { get; }

    public static GrpcChannel ForAddress(string address) => ForAddress(new Uri(address));

    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions) => ForAddress(new Uri(address), channelOptions);

    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
            throw new NotSupportedException($"GrpcChannel.ForAddress with the scheme '{address.Scheme}'; only http and https.");
        return new GrpcChannel(address, channelOptions);
    }

    public override CallInvoker CreateCallInvoker()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new HttpCallInvoker(this);
    }

    /// <summary>Ends the calls that still run.</summary>
    public void Dispose()
    {
        IDisposable[] running;
        lock (_calls)
        {
            if (_disposed)
                return;
            _disposed = true;
            running = [.. _calls];
            _calls.Clear();
        }

        foreach (var call in running)
            call.Dispose();
        if (_ownsSender)
            _sender.Dispose();
    }

    internal Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        // An HttpClient would otherwise read the whole response before it returns.
        _sender is HttpClient client
            ? client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken)
            : _sender.SendAsync(request, cancellationToken);

    internal void Track(IDisposable call)
    {
        lock (_calls)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _calls.Add(call);
        }
    }

    internal void Forget(IDisposable call)
    {
        lock (_calls)
            _calls.Remove(call);
    }

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }

    internal static SocketsHttpHandler CreateHandler() => new()
    {
        AllowAutoRedirect = false,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = KeepAlivePingDelay,
        KeepAlivePingTimeout = KeepAlivePingTimeout,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        UseCookies = false,
    };
}
