using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Server;
using Grpc.Wire;

namespace Grpc.Client;

/// <summary>
/// One call over one HTTP/2 request. It ends exactly once, by the first of: the server's status, an error, cancellation,
/// the deadline, disposal; whoever comes later finds the status that was set.
/// </summary>
internal sealed class HttpCall<TRequest, TResponse> : IDisposable
    where TRequest : class
    where TResponse : class
{
    // One default HTTP/2 frame.
    private const int ReadBytes = 16 * 1024;

    private static readonly TimeSpan AnswerGrace = TimeSpan.FromSeconds(1);

    private readonly GrpcChannel _channel;
    private readonly Method<TRequest, TResponse> _method;
    private readonly string? _host;
    private readonly CallOptions _options;
    private readonly CancellationTokenSource _ending = new();
    private readonly TaskCompletionSource<Metadata> _headers = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Status> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly DateTime? _deadline;
    private readonly Lock _lock = new();

    private CancellationTokenRegistration _callerCancels;
    private CancellationTokenRegistration _propagatedCancels;
    private Timer? _deadlineTimer;
    private Task<MessageReader?> _response = Task.FromResult<MessageReader?>(null);
    private HttpResponseMessage? _httpResponse;
    private PipeReader? _body;
    private Metadata? _trailers;
    private int _reading;
    private bool _isEnded;

    public HttpCall(GrpcChannel channel, Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        if (options.IsWaitForReady)
            throw new NotSupportedException($"{nameof(CallOptions)}.{nameof(CallOptions.WithWaitForReady)}");
        _channel = channel;
        _method = method;
        _host = host;
        _options = options;
        _deadline = options.Deadline?.ToUniversalTime();
        if (options.PropagationToken is CallPropagationToken { Deadline: { } propagated } && !(propagated > _deadline))
            _deadline = propagated;
    }

    public Task<Metadata> ResponseHeadersAsync => _headers.Task;

    private Func<DeserializationContext, TResponse> Deserializer => _method.ResponseMarshaller.ContextualDeserializer;

    private bool IsResponseAwaited =>
        _method.Type == MethodType.ClientStreaming || !_response.IsCompleted || Volatile.Read(ref _reading) == 1;

    public Status GetStatus() => _ended.Task.IsCompletedSuccessfully
        ? _ended.Task.Result
        : throw new InvalidOperationException("The status is only known once the call has ended.");

    public Metadata GetTrailers() => _ended.Task.IsCompletedSuccessfully
        ? _trailers ?? Metadata.Empty
        : throw new InvalidOperationException("The trailers are only known once the call has ended.");

    /// <summary>Starts a call of one request.</summary>
    public void Start(TRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        Begin();
        _response = SendSingleAsync(request);
        Observe(_response);
    }

    /// <summary>Starts a call of many requests.</summary>
    public ClientStreamWriter<TRequest, TResponse> StartStreaming()
    {
        Begin();
        var content = new MessageStreamContent();
        _response = SendAsync(content);
        Observe(_response);
        return new ClientStreamWriter<TRequest, TResponse>(this, content);
    }

    /// <summary>The only response of a call, or the exception that its status asks for.</summary>
    public Task<TResponse> ReadSingleAsync()
    {
        var reading = ReadSingleCoreAsync();
        // A caller may look at the status only.
        Observe(reading);
        return reading;
    }

    /// <summary>The next response of a stream, or null at its orderly end.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Every failure becomes the call's status.")]
    public async Task<TResponse?> ReadNextAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _reading, 1) == 1)
            throw new InvalidOperationException("The next message cannot be read: the previous read is still in progress.");
        // Giving up one read gives up the call: half a message cannot be put back.
        var registration = CancelWith(cancellationToken);
        await using var disposal = registration.ConfigureAwait(false);
        try
        {
            if (await _response.ConfigureAwait(false) is { } reader && !_ended.Task.IsCompleted)
            {
                var message = await reader.ReadAsync(Deserializer, _ending.Token).ConfigureAwait(false);
                if (message is not null)
                    return message;
                EndByTrailers();
            }
        }
        catch (Exception exception)
        {
            EndByException(exception);
        }
        finally
        {
            Volatile.Write(ref _reading, 0);
        }

        var status = await _ended.Task.ConfigureAwait(false);
        return status.StatusCode == StatusCode.OK ? null : throw ToException(status);
    }

    public async Task WriteAsync(
        TRequest message, MessageStreamContent content, WriteOptions? options, CancellationToken cancellationToken)
    {
        ThrowIfEnded();
        using var frame = new PooledBuffer();
        using (var writer = new MessageWriter(frame, _channel.MaxSendBytes, gzipLevel: null))
            writer.Write(message, _method.RequestMarshaller.ContextualSerializer, options);

        var registration = CancelWith(cancellationToken);
        await using var disposal = registration.ConfigureAwait(false);
        try
        {
            var stream = await content.Opened.WaitAsync(_ending.Token).ConfigureAwait(false);
            await stream.WriteAsync(frame.WrittenMemory, _ending.Token).ConfigureAwait(false);
            if ((options ?? _options.WriteOptions)?.Flags.HasFlag(WriteFlags.BufferHint) != true)
                await stream.FlushAsync(_ending.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception
            is OperationCanceledException or IOException or HttpRequestException or ObjectDisposedException or InvalidOperationException)
        {
            // The server may have ended the call while we wrote: its status, which may be just behind, says more than a broken stream.
            if (IsResponseAwaited)
                await Task.WhenAny(_ended.Task, Task.Delay(AnswerGrace, CancellationToken.None)).ConfigureAwait(false);
            ThrowIfEnded();
            throw new RpcException(ResponseStatus.FromException(exception));
        }
    }

    /// <summary>Ends a call that still runs.</summary>
    public void Dispose() => End(new Status(StatusCode.Cancelled, "gRPC call disposed."), null);

    private static void Observe(Task task) =>
        _ = task.ContinueWith(static done => _ = done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);

    private void Begin()
    {
        Observe(_headers.Task);
        _channel.Track(this);
        if (_deadline is { } deadline)
        {
            _deadlineTimer = new Timer(
                static call => ((HttpCall<TRequest, TResponse>)call!).OnTimer(), this, Timeout.Infinite, Timeout.Infinite);
            ArmTimer(deadline);
        }

        _callerCancels = CancelWith(_options.CancellationToken);
        if (_options.PropagationToken is CallPropagationToken token)
            _propagatedCancels = CancelWith(token.CancellationToken);
    }

    private void ArmTimer(DateTime deadline)
    {
        // A timer takes at most about 49 days; a longer deadline wakes up and goes to sleep again.
        var due = Math.Clamp((long)Math.Ceiling((deadline - DateTime.UtcNow).TotalMilliseconds), 0, uint.MaxValue - 1L);
        _deadlineTimer?.Change(due, Timeout.Infinite);
    }

    private void OnTimer()
    {
        lock (_lock)
        {
            if (_isEnded)
                return;
            if (DateTime.UtcNow < _deadline)
            {
                ArmTimer(_deadline.Value);
                return;
            }
        }

        End(new Status(StatusCode.DeadlineExceeded, string.Empty), null);
    }

    private CancellationTokenRegistration CancelWith(CancellationToken cancellationToken) => cancellationToken.UnsafeRegister(
        static call => ((HttpCall<TRequest, TResponse>)call!).End(new Status(StatusCode.Cancelled, "Call canceled by the client."), null), this);

    private async Task<MessageReader?> SendSingleAsync(TRequest request)
    {
        // Not pooled: the handler may still be sending it, or send it again on another connection, after the response has come.
        var frame = new ArrayBufferWriter<byte>();
        try
        {
            using var writer = new MessageWriter(frame, _channel.MaxSendBytes, gzipLevel: null);
            writer.Write(request, _method.RequestMarshaller.ContextualSerializer, _options.WriteOptions);
        }
        catch (RpcException exception)
        {
            EndByException(exception);
            return null;
        }

        return await SendAsync(new SingleMessageContent(frame.WrittenMemory)).ConfigureAwait(false);
    }

    /// <summary>Sends the request and judges the response's headers: null where they already ended the call.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Every failure becomes the call's status.")]
    private async Task<MessageReader?> SendAsync(HttpContent content)
    {
        try
        {
            var request = await CallRequest.BuildAsync(
                _channel, _method, _host, _options, _deadline, content, _ending.Token).ConfigureAwait(false);
            var response = await _channel.SendAsync(request, _ending.Token).ConfigureAwait(false);
            lock (_lock)
            {
                if (_isEnded)
                {
                    response.Dispose();
                    return null;
                }

                _httpResponse = response;
            }

            if (ResponseStatus.Judge(response) is { } status)
            {
                var trailers = ResponseStatus.ReadMetadata(response.Headers);
                _headers.TrySetResult(trailers);
                End(status, trailers);
                return null;
            }

            _headers.TrySetResult(ResponseStatus.ReadMetadata(response.Headers));
            var encoding = response.Headers.NonValidated.TryGetValues(GrpcProtocol.EncodingHeader, out var encodings)
                ? encodings.ToString()
                : GrpcProtocol.Identity;
            if (encoding is not (GrpcProtocol.Identity or GrpcProtocol.Gzip))
                throw new RpcException(new Status(StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{encoding}'."));
            var body = await response.Content.ReadAsStreamAsync(_ending.Token).ConfigureAwait(false);
            _body = PipeReader.Create(body, new StreamPipeReaderOptions(bufferSize: ReadBytes));
            return new MessageReader(_body, encoding, _channel.MaxReceiveBytes);
        }
        catch (Exception exception)
        {
            EndByException(exception);
            return null;
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "Every failure becomes the call's status.")]
    private async Task<TResponse> ReadSingleCoreAsync()
    {
        TResponse? message = null;
        try
        {
            if (await _response.ConfigureAwait(false) is { } reader)
            {
                message = await reader.ReadSingleAsync(Deserializer, _ending.Token).ConfigureAwait(false);
                EndByTrailers();
            }
        }
        catch (Exception exception)
        {
            EndByException(exception);
        }

        var status = await _ended.Task.ConfigureAwait(false);
        if (status.StatusCode != StatusCode.OK)
            throw ToException(status);
        return message ?? throw new RpcException(new Status(StatusCode.Internal, "The server sent no response message."), GetTrailers());
    }

    private void EndByTrailers()
    {
        _body!.Complete();
        var trailing = _httpResponse!.TrailingHeaders;
        End(
            ResponseStatus.Read(trailing) ?? new Status(StatusCode.Cancelled, "No grpc-status found on response."),
            ResponseStatus.ReadMetadata(trailing));
    }

    private void EndByException(Exception exception) => End(
        exception switch
        {
            RpcException rpc => rpc.Status,
            OperationCanceledException => new Status(StatusCode.Cancelled, "Call canceled by the client.", exception),
            _ => ResponseStatus.FromException(exception),
        },
        (exception as RpcException)?.Trailers);

    private void End(Status status, Metadata? trailers)
    {
        HttpResponseMessage? response;
        lock (_lock)
        {
            if (_isEnded)
                return;
            _isEnded = true;
            _trailers = trailers;
            response = _httpResponse;
        }

        _ended.TrySetResult(status);
        if (status.StatusCode == StatusCode.OK)
            _headers.TrySetResult(Metadata.Empty);
        else
            _headers.TrySetException(ToException(status));
        _channel.Forget(this);
        _deadlineTimer?.Dispose();
        _callerCancels.Unregister();
        _propagatedCancels.Unregister();
        // Wakes everything that waits; a request still under way is reset on the wire.
        _ending.Cancel();
        response?.Dispose();
    }

    private void ThrowIfEnded()
    {
        if (!_ended.Task.IsCompletedSuccessfully)
            return;
        var status = _ended.Task.Result;
        if (status.StatusCode != StatusCode.OK)
            throw ToException(status);
        throw new InvalidOperationException("The message cannot be written: the call is complete.");
    }

    private Exception ToException(Status status)
    {
        var cancelled = status.StatusCode == StatusCode.Cancelled && _options.CancellationToken.IsCancellationRequested;
        if (_channel.ThrowCancellation && (cancelled || status.StatusCode == StatusCode.DeadlineExceeded))
            return new OperationCanceledException(status.Detail, new RpcException(status), _options.CancellationToken);
        return new RpcException(status, _trailers ?? Metadata.Empty);
    }
}
