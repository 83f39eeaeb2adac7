using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fleet.Inference.Engine.Providers;

internal enum FrameFormat
{
    ServerSentEvents,
    JsonLines,
}

/// <summary>
/// The HTTP side of one provider: connections, key, time limits, bounds, and what its failures mean here. Nothing it throws or logs holds the
/// key, a prompt or a reply. Thread-safe.
/// </summary>
internal sealed partial class UpstreamClient : IDisposable
{
    // Far above what any of the protocols sends at once, far below what hurts.
    private const int MaxFrameBytes = 4 * 1024 * 1024;
    private const int MaxAnswerBytes = 256 * 1024 * 1024;
    private const int MaxErrorBytes = 64 * 1024;

    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromHours(1);
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly HttpClient _http;
    private readonly ProviderOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _calls;

    public UpstreamClient(string name, ProviderOptions options, TimeProvider time, ILogger logger)
    {
        (Name, _options, _time, _logger) = (name, options, time, logger);
        _calls = new SemaphoreSlim(options.MaxConcurrentCalls);
        _http = new HttpClient(new SocketsHttpHandler
        {
            // A redirect would carry the prompt to an address nobody has configured.
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = options.ConnectTimeout,
            // Providers move between addresses.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            // Trace ids of the fleet are nobody else's business.
            ActivityHeadersPropagator = null,
        })
        {
            BaseAddress = options.Address,
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("Fleet", "1.0"));
        if (options.ApiKey.Length == 0)
            return;

        switch (options.Type)
        {
            case ProviderType.Anthropic:
                _http.DefaultRequestHeaders.TryAddWithoutValidation("x-api-key", options.ApiKey);
                break;
            case ProviderType.Gemini:
                // In a header: addresses end up in logs.
                _http.DefaultRequestHeaders.TryAddWithoutValidation("x-goog-api-key", options.ApiKey);
                break;
            default:
                _http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "Bearer " + options.ApiKey);
                break;
        }
    }

    public string Name { get; }

    public int Running => _options.MaxConcurrentCalls - _calls.CurrentCount;

    public void Dispose()
    {
        _http.Dispose();
        _calls.Dispose();
    }

    /// <summary>One call whose answer is a whole JSON document.</summary>
    /// <param name="body">Null = GET.</param>
    /// <exception cref="EngineException">The provider refused, failed, took too long or answered nonsense.</exception>
    public async Task<JsonDocument> AskAsync(string path, JsonObject? body, CancellationToken cancellationToken)
    {
        using var limits = Begin(cancellationToken);
        try
        {
            using var response = await SendAsync(path, body, limits);
            await using var stream = await response.Content.ReadAsStreamAsync(limits.Token);
            limits.Continue();
            return await JsonDocument.ParseAsync(new BoundedStream(stream, MaxAnswerBytes), default, limits.Token);
        }
        catch (Exception exception) when (exception is not EngineException)
        {
            throw Failure(exception, limits);
        }
    }

    /// <summary>One call whose answer is a stream. Its first event is a frame without data, when the provider has accepted. Leaving the enumeration closes the call.</summary>
    /// <inheritdoc cref="AskAsync" path="/exception"/>
    public async IAsyncEnumerable<Frame> StreamAsync(string path, JsonObject body, FrameFormat format, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var limits = Begin(cancellationToken);
        HttpResponseMessage response;
        try
        {
            response = await SendAsync(path, body, limits);
        }
        catch (Exception exception) when (exception is not EngineException)
        {
            throw Failure(exception, limits);
        }

        using (response)
        {
            yield return default;
            IAsyncEnumerator<Frame>? frames = null;
            try
            {
                while (true)
                {
                    Frame frame;
                    try
                    {
                        frames ??= Read(new WatchedStream(await response.Content.ReadAsStreamAsync(limits.Token), limits), format, limits.Token);
                        if (!await frames.MoveNextAsync())
                            break;
                        frame = frames.Current;
                    }
                    catch (Exception exception) when (exception is not EngineException)
                    {
                        throw Failure(exception, limits);
                    }

                    yield return frame;
                }
            }
            finally
            {
                if (frames is not null)
                    await frames.DisposeAsync();
            }
        }
    }

    /// <summary>A failure the provider told in the middle of a stream.</summary>
    /// <param name="kind">The provider's own word for it; only identifiers are kept.</param>
    public EngineException ToldInStream(string? kind)
    {
        var word = Identifier(kind);
        Log.FailedInStream(_logger, Name, word);
        return Unavailable($"The provider {Name} failed in the middle of its reply{Told(word)}.");
    }

    /// <summary>The stream ended, or said something, that the protocol does not know.</summary>
    public EngineException Broken(string what)
    {
        Log.FailedInStream(_logger, Name, what);
        return Unavailable($"The provider {Name} broke its protocol: {what}.");
    }

    private static IAsyncEnumerator<Frame> Read(Stream stream, FrameFormat format, CancellationToken cancellationToken) =>
        (format == FrameFormat.ServerSentEvents
            ? Frames.ServerSentEventsAsync(stream, MaxFrameBytes, cancellationToken)
            : Frames.JsonLinesAsync(stream, MaxFrameBytes, cancellationToken)).GetAsyncEnumerator(cancellationToken);

    private Limits Begin(CancellationToken cancellationToken)
    {
        if (!_calls.Wait(0, CancellationToken.None))
        {
            throw new EngineException(EngineError.QueueFull, $"{_options.MaxConcurrentCalls} calls of the provider {Name} are running; no more are allowed at a time.")
            {
                Running = _options.MaxConcurrentCalls,
                RetryAfter = TimeSpan.FromSeconds(1),
                Upstream = true,
            };
        }

        return new Limits(_options, _time, _calls, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendAsync(string path, JsonObject? body, Limits limits)
    {
        var payload = body is null ? null : JsonSerializer.SerializeToUtf8Bytes(body, Compact);
        for (var attempt = 1; ; attempt++)
        {
            using var request = new HttpRequestMessage(payload is null ? HttpMethod.Get : HttpMethod.Post, path);
            if (_options.Type == ProviderType.Anthropic)
                request.Headers.TryAddWithoutValidation("anthropic-version", "2023-06-01");
            if (payload is not null)
                request.Content = new ByteArrayContent(payload) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            HttpResponseMessage response;
            try
            {
                response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limits.Token);
            }
            catch (HttpRequestException exception) when (attempt == 1 && exception.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError)
            {
                // Nothing was sent, so nothing is done twice.
                continue;
            }

            if (response.IsSuccessStatusCode)
                return response;
            using (response)
                throw await RefusalAsync(response, limits.Token);
        }
    }

    private async Task<EngineException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var (kind, parameter) = await ReadErrorAsync(response, cancellationToken);
        var status = (int)response.StatusCode;
        Log.Refused(_logger, Name, status, kind);
        var told = Told(kind, parameter);
        var retryAfter = RetryAfter(response);
        return status switch
        {
            401 or 403 => Unavailable($"The provider {Name} does not accept the fleet's key ({status}{Rest(kind)}): an administrator must check Inference:Providers:{Name}:ApiKey and its rights."),
            402 => Unavailable($"The provider {Name} wants to be paid ({status}{Rest(kind)}): an administrator must look at its account."),
            404 => new EngineException(EngineError.ModelNotFound, $"The provider {Name} knows no such model or route{told}: an administrator must check its address and UpstreamId.") { Upstream = true },
            408 => Unavailable($"The provider {Name} gave up waiting."),
            413 => new EngineException(EngineError.NotSupported, $"The request is too large for the provider {Name}.") { Upstream = true },
            429 => new EngineException(EngineError.QueueFull, $"The provider {Name} limits how much may be asked of it now{told}.") { RetryAfter = retryAfter ?? TimeSpan.FromSeconds(5), Upstream = true },
            400 or 422 when kind.Contains("context_length", StringComparison.Ordinal) || kind.Contains("context_size", StringComparison.Ordinal) =>
                new EngineException(EngineError.NotSupported, $"The prompt is longer than the context of the model at the provider {Name}.") { Upstream = true },

            // Gemini's way of saying 401.
            400 when kind.Contains("API_KEY", StringComparison.OrdinalIgnoreCase) =>
                Unavailable($"The provider {Name} does not accept the fleet's key ({status}{Rest(kind)}): an administrator must check Inference:Providers:{Name}:ApiKey."),
            400 or 422 => new EngineException(EngineError.InvalidRequest, $"The provider {Name} refused the request{told}.") { Upstream = true },
            >= 300 and < 400 => Unavailable($"The provider {Name} redirects, which is not followed: an administrator must check its address."),
            < 500 => new EngineException(EngineError.NotSupported, $"The provider {Name} answered {status}{Rest(kind)}.") { Upstream = true },
            _ => Unavailable($"The provider {Name} failed ({status}{Rest(kind)}).", retryAfter),
        };
    }

    // OpenAI and Anthropic: {"error":{type, code, param}}; Gemini: {"error":{status, details:[{reason}]}}; Ollama: {"error":"text"}.
    private static async Task<(string Kind, string Parameter)> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            using var document = await JsonDocument.ParseAsync(new BoundedStream(stream, MaxErrorBytes), default, cancellationToken);
            if (document.RootElement is not { ValueKind: JsonValueKind.Object } root || !root.TryGetProperty("error", out var error) || error.ValueKind != JsonValueKind.Object)
                return ("", "");

            var reason = error.Items("details").Select(detail => Identifier(detail.Text("reason"))).FirstOrDefault(text => text.Length > 0) ?? "";
            var kind = (string[])[reason, Identifier(error.Text("code")), Identifier(error.Text("type")), Identifier(error.Text("status"))];
            return (kind.FirstOrDefault(text => text.Length > 0, ""), Identifier(error.Text("param")));
        }
        catch (Exception exception) when (exception is JsonException or IOException or HttpRequestException)
        {
            return ("", "");
        }
    }

    private Exception Failure(Exception exception, Limits limits)
    {
        if (limits.CallerGone)
            return exception as OperationCanceledException ?? new OperationCanceledException(null, exception, limits.Caller);

        var what = limits.Expired ?? (exception switch
        {
            JsonException => "sent what is not JSON",
            InvalidDataException => "sent more than a reply can hold",
            HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError or HttpRequestError.SecureConnectionError } => "cannot be reached",

            // The connection's own limit is the only cancellation left.
            OperationCanceledException => "cannot be reached in time",
            _ => "broke the connection",
        });
        Log.Failed(_logger, Name, what, exception.GetType().Name);

        // Without the inner exception: its text may quote the stream.
        return Unavailable($"The provider {Name} {what}.");
    }

    private static EngineException Unavailable(string message, TimeSpan? retryAfter = null) =>
        new(EngineError.Unavailable, message) { RetryAfter = retryAfter, Upstream = true };

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        TimeSpan? wait = null;
        if (response.Headers.TryGetValues("retry-after-ms", out var values) && double.TryParse(values.First(), CultureInfo.InvariantCulture, out var milliseconds) && milliseconds is >= 0 and < 1e9)
            wait = TimeSpan.FromMilliseconds(milliseconds);
        else if (response.Headers.RetryAfter is { } header)
            wait = header.Delta ?? header.Date - _time.GetUtcNow();
        return wait is { } asked ? TimeSpan.FromTicks(Math.Clamp(asked.Ticks, 0, LongestRetryAfter.Ticks)) : null;
    }

    private static string Told(params ReadOnlySpan<string> words)
    {
        var said = string.Join(", ", words.ToArray().Where(word => word.Length > 0));
        return said.Length > 0 ? $" ({said})" : "";
    }

    private static string Rest(string kind) => kind.Length > 0 ? $", {kind}" : "";

    // Their messages may quote prompts and keys; their codes cannot.
    private static string Identifier(string? text) =>
        text is { Length: > 0 and <= 64 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' or '[' or ']') && !text.StartsWith("sk-", StringComparison.Ordinal) ? text : "";

    /// <summary>How long one call may take, and its place among the calls that may run at a time.</summary>
    internal sealed class Limits : IDisposable
    {
        private readonly CancellationTokenSource _quiet;
        private readonly CancellationTokenSource _whole;
        private readonly CancellationTokenSource _any;
        private readonly ProviderOptions _options;
        private readonly SemaphoreSlim _calls;
        private bool _answering;

        public Limits(ProviderOptions options, TimeProvider time, SemaphoreSlim calls, CancellationToken caller)
        {
            (_options, _calls, Caller) = (options, calls, caller);
            _quiet = new CancellationTokenSource(options.FirstByteTimeout, time);
            _whole = new CancellationTokenSource(options.Timeout, time);
            _any = CancellationTokenSource.CreateLinkedTokenSource(caller, _quiet.Token, _whole.Token);
        }

        public CancellationToken Caller { get; }

        public CancellationToken Token => _any.Token;

        public bool CallerGone => Caller.IsCancellationRequested;

        /// <summary>Which limit was passed, to follow the provider's name; null = none.</summary>
        public string? Expired =>
            _whole.IsCancellationRequested ? "took longer than a reply may take"
            : !_quiet.IsCancellationRequested ? null
            : _answering ? "fell silent in the middle of its reply" : "did not begin to answer in time";

        /// <summary>Something arrived: the silence begins anew.</summary>
        public void Continue()
        {
            _answering = true;
            _quiet.CancelAfter(_options.IdleTimeout);
        }

        /// <summary>The reader is busy with what arrived: that is not the provider's silence.</summary>
        public void Pause() => _quiet.CancelAfter(Timeout.InfiniteTimeSpan);

        public void Resume() => _quiet.CancelAfter(_answering ? _options.IdleTimeout : _options.FirstByteTimeout);

        public void Dispose()
        {
            _any.Dispose();
            _quiet.Dispose();
            _whole.Dispose();
            _calls.Release();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Provider {Provider} refused a call with {Status} {Kind}")]
        public static partial void Refused(ILogger logger, string provider, int status, string kind);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Provider {Provider} {What} ({Exception})")]
        public static partial void Failed(ILogger logger, string provider, string what, string exception);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Provider {Provider} failed in the middle of a reply: {Kind}")]
        public static partial void FailedInStream(ILogger logger, string provider, string kind);
    }
}
