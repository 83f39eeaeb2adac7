using System.Globalization;
using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Grpc.Server;

/// <summary>
/// One call over an HTTP/2 request. Writes and the end of the call take turns by one lock, because the deadline ends a call
/// from its timer while the handler may still be writing.
/// </summary>
internal sealed class HttpServerCallContext : ServerCallContext, IServerCallContextFeature, IAsyncDisposable
{
    internal const string HttpContextKey = "__HttpContext";

    private readonly IMethod _method;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _deadlineLock = new();
    private readonly CancellationTokenSource? _deadlineSource;
    private readonly Timer? _deadlineTimer;
    private readonly TimeSpan? _timeout;
    private readonly long _started = TimeProvider.System.GetTimestamp();

    private Metadata? _requestHeaders;
    private Metadata? _responseTrailers;
    private Task? _endByDeadline;
    private bool _headersSent;
    private bool _wroteMessage;
    private bool _ended;

    public HttpServerCallContext(HttpContext httpContext, IMethod method, ServerOptions options)
    {
        HttpContext = httpContext;
        _method = method;
        Options = options;
        RequestEncoding = httpContext.Request.Headers[GrpcProtocol.EncodingHeader] is [{ Length: > 0 } encoding, ..] ? encoding : GrpcProtocol.Identity;
        DeadlineCore = DateTime.MaxValue;
        CancellationTokenCore = httpContext.RequestAborted;
        if (GrpcProtocol.TryParseTimeout(httpContext.Request.Headers[GrpcProtocol.TimeoutHeader], out var timeout))
        {
            _timeout = timeout;
            DeadlineCore = DateTime.MaxValue - DateTime.UtcNow > timeout ? DateTime.UtcNow + timeout : DateTime.MaxValue;
            _deadlineSource = CancellationTokenSource.CreateLinkedTokenSource(httpContext.RequestAborted);
            CancellationTokenCore = _deadlineSource.Token;
            _deadlineTimer = new Timer(static state => ((HttpServerCallContext)state!).OnTimer(), this, Timeout.Infinite, Timeout.Infinite);
        }

        UsesGzip = options.GzipLevel is not null
            && httpContext.Request.Headers[GrpcProtocol.AcceptEncodingHeader].ToString().Split(',')
                .Any(one => one.Trim().Equals(GrpcProtocol.Gzip, StringComparison.OrdinalIgnoreCase));
    }

    public HttpContext HttpContext { get; }

    public ServerOptions Options { get; }

    public string RequestEncoding { get; }

    public bool UsesGzip { get; }

    public bool DeadlinePassed { get; private set; }

    ServerCallContext IServerCallContextFeature.ServerCallContext => this;

    protected override string MethodCore => _method.FullName;

    protected override string HostCore => HttpContext.Request.Host.Value ?? string.Empty;

    protected override string PeerCore => HttpContext.Connection.RemoteIpAddress switch
    {
        null => "unknown",
        { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } address =>
            string.Create(CultureInfo.InvariantCulture, $"ipv6:[{address}]:{HttpContext.Connection.RemotePort}"),
        IPAddress address => string.Create(CultureInfo.InvariantCulture, $"ipv4:{address}:{HttpContext.Connection.RemotePort}"),
    };

    protected override DateTime DeadlineCore { get; }

    protected override Metadata RequestHeadersCore => _requestHeaders ??= ReadRequestHeaders();

    protected override CancellationToken CancellationTokenCore { get; }

    protected override Metadata ResponseTrailersCore => _responseTrailers ??= [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore { get; } = new(null, []);

    /// <summary>Starts the deadline; separate from the constructor so that the timer never sees half a call.</summary>
    public void Start()
    {
        HttpContext.Response.ContentType = GrpcProtocol.ContentType;
        if (UsesGzip)
            HttpContext.Response.Headers[GrpcProtocol.EncodingHeader] = GrpcProtocol.Gzip;
        if (_timeout is not null)
            ArmTimer();
    }

    /// <summary>Writes one message, and flushes it unless the writer asked to wait for more.</summary>
    public async Task WriteMessageAsync<T>(
        T message,
        MessageWriter writer,
        Action<T, SerializationContext> serialize,
        WriteOptions? options,
        bool flush,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        CancellationToken.ThrowIfCancellationRequested();
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_ended)
                throw new InvalidOperationException("The message cannot be written: the call has ended.");
            var body = HttpContext.Response.BodyWriter;
            writer.Write(message, serialize, options);
            _wroteMessage = true;
            if (!flush || options?.Flags.HasFlag(WriteFlags.BufferHint) == true)
                return;
            await body.FlushAsync(cancellationToken).ConfigureAwait(false);
            // Kestrel swallows writes to a caller who is gone; a producer must hear of it.
            CancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            if (writer.IsBroken)
                HttpContext.Abort();
            _turn.Release();
        }
    }

    /// <summary>Ends the call once; later ends are ignored.</summary>
    public async Task EndAsync(Status status, Metadata? extraTrailers, bool complete)
    {
        await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_ended)
                return;
            _ended = true;
            var response = HttpContext.Response;
            if (HttpContext.RequestAborted.IsCancellationRequested)
                return;
            // Nothing sent so far: the whole answer is one block of headers.
            var target = response.HasStarted || _wroteMessage
                ? HttpContext.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
                : response.Headers;
            if (ReferenceEquals(target, response.Headers))
                response.Headers.Remove(GrpcProtocol.EncodingHeader);
            try
            {
                AddTo(target, extraTrailers);
                AddTo(target, _responseTrailers);
            }
            catch (InvalidOperationException exception)
            {
                // Not ASCII, or a line break: the caller still gets an end, though not the one that was meant.
                status = new Status(StatusCode.Internal, "A response trailer cannot be sent over HTTP.", exception);
            }

            target[GrpcProtocol.StatusHeader] = ((int)status.StatusCode).ToString(CultureInfo.InvariantCulture);
            if (status.Detail.Length > 0)
                target[GrpcProtocol.MessageHeader] = GrpcProtocol.EncodeMessage(status.Detail);
            if (complete)
                await response.CompleteAsync().ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_deadlineTimer is not null)
            await _deadlineTimer.DisposeAsync().ConfigureAwait(false);
        Task? ending;
        lock (_deadlineLock)
            ending = _endByDeadline;
        if (ending is not null)
            await ending.ConfigureAwait(false);
        _deadlineSource?.Dispose();
        // The semaphore is left to the collector: a handler's stray write must fail as ended, not as disposed.
    }

    protected override async Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        await _turn.WaitAsync(CancellationToken).ConfigureAwait(false);
        try
        {
            if (_headersSent || _ended || HttpContext.Response.HasStarted)
                throw new InvalidOperationException("Response headers can only be sent once, before the first message.");
            _headersSent = true;
            AddTo(HttpContext.Response.Headers, responseHeaders);
            await HttpContext.Response.BodyWriter.FlushAsync(CancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) =>
        new CallPropagationToken(this, options ?? ContextPropagationOptions.Default);

    private static void AddTo(IHeaderDictionary target, Metadata? metadata)
    {
        if (metadata is null)
            return;
        foreach (var entry in metadata)
        {
            // Not Append: it would drop an empty value.
            if (!GrpcProtocol.IsReserved(entry.Key))
                target[entry.Key] = StringValues.Concat(target[entry.Key], entry.WireValue);
        }
    }

    private Metadata ReadRequestHeaders()
    {
        var metadata = new Metadata();
        foreach (var (name, values) in HttpContext.Request.Headers)
        {
            if (GrpcProtocol.IsReserved(name))
                continue;
            foreach (var value in values)
                GrpcProtocol.AddReceived(metadata, name, value ?? string.Empty);
        }

        return metadata;
    }

    private void ArmTimer()
    {
        // A timer takes at most about 49 days; a longer deadline wakes up and goes to sleep again.
        var left = _timeout!.Value - TimeProvider.System.GetElapsedTime(_started);
        var due = Math.Clamp((long)Math.Ceiling(left.TotalMilliseconds), 0, uint.MaxValue - 1L);
        _deadlineTimer!.Change(due, Timeout.Infinite);
    }

    private void OnTimer()
    {
        if (TimeProvider.System.GetElapsedTime(_started) < _timeout)
        {
            ArmTimer();
            return;
        }

        lock (_deadlineLock)
        {
            DeadlinePassed = true;
            _endByDeadline = EndAsync(new Status(StatusCode.DeadlineExceeded, "Deadline exceeded."), null, complete: true);
        }

        // Ends the handler's waits, and frees the lock where a writer waits for a slow reader.
        _deadlineSource!.Cancel();
    }
}

/// <summary>Carries a server call's deadline and cancellation to the calls it makes.</summary>
internal sealed class CallPropagationToken(ServerCallContext context, ContextPropagationOptions options) : ContextPropagationToken
{
    public DateTime? Deadline => options.IsPropagateDeadline && context.Deadline != DateTime.MaxValue ? context.Deadline : null;

    public CancellationToken CancellationToken => options.IsPropagateCancellation ? context.CancellationToken : CancellationToken.None;
}
