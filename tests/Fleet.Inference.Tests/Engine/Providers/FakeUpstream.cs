using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Providers;

/// <summary>A provider on real Kestrel that answers as a test tells it and remembers what it was asked.</summary>
public sealed class FakeUpstream : IAsyncLifetime
{
    public const string Key = "k-3c9e71f0-do-not-tell";

    private static readonly JsonSerializerOptions Readable = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private WebApplication? _app;

    public Uri Address { get; private set; } = null!;

    public Func<HttpContext, Task> Answer { get; set; } = _ => Task.CompletedTask;

    public ConcurrentQueue<(string Path, JsonObject Body, IHeaderDictionary Headers)> Asked { get; } = new();

    /// <summary>Calls whose connection the client closed before the answer was complete.</summary>
    public int Abandoned => _abandoned;

    private int _abandoned;

    internal LogLines Logs { get; } = new();

    internal JsonObject LastBody => Asked.Last().Body;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();

        // The service's own settings lie beside the tests and name its ports.
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var body = await reader.ReadToEndAsync();
            Asked.Enqueue((context.Request.Path + context.Request.QueryString, body.Length > 0 ? JsonNode.Parse(body)!.AsObject() : [], new HeaderDictionary(context.Request.Headers.ToDictionary())));
            context.RequestAborted.Register(() => Interlocked.Increment(ref _abandoned));
            await Answer(context);
        });
        await _app.StartAsync();
        Address = new Uri(_app.Urls.Single());
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }

    internal void Streams(string body, string contentType = "text/event-stream") => Answer = async context =>
    {
        context.Response.ContentType = contentType;
        await context.Response.WriteAsync(body);
    };

    internal void Refuses(int status, string body = "", params (string Name, string Value)[] headers) => Answer = async context =>
    {
        context.Response.StatusCode = status;
        foreach (var (name, value) in headers)
            context.Response.Headers[name] = value;
        await context.Response.WriteAsync(body);
    };

    /// <summary>Sends the beginning and then nothing until the caller gives up.</summary>
    internal void StreamsAndHangs(string body) => Answer = async context =>
    {
        context.Response.ContentType = "text/event-stream";
        await context.Response.WriteAsync(body);
        await context.Response.Body.FlushAsync();
        await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
    };

    internal ProviderOptions Provider(ProviderType type, Action<ProviderOptions>? configure = null, Action<RemoteModelOptions>? model = null)
    {
        var options = new ProviderOptions { Type = type, BaseAddress = new Uri(Address, "base"), ApiKey = Key };
        var chat = new RemoteModelOptions { Id = "m", UpstreamId = "their-model", ContextTokens = 8192 };
        model?.Invoke(chat);
        options.Models.Add(chat);
        configure?.Invoke(options);
        return options;
    }

    internal T Engine<T>(ProviderOptions options, TimeProvider? time = null)
        where T : IModelEngine
    {
        var providers = new ProvidersOptions { Providers = { ["up"] = options } };
        Assert.Equal(ValidateOptionsResult.Success, new ProvidersOptionsValidator().Validate(null, providers));
        var models = new RemoteModels(Options.Create(providers), time ?? TimeProvider.System, Logs);
        return (T)models.Create(models.Models.Single());
    }

    internal ITextGenerator Generator(ProviderType type, Action<ProviderOptions>? configure = null, Action<RemoteModelOptions>? model = null, TimeProvider? time = null) =>
        Engine<ITextGenerator>(Provider(type, configure, model), time);

    internal static GenerationRequest Hello { get; } = new() { RequestId = "r", Messages = [new ChatMessage(ChatRole.User, "안녕하세요")] };

    internal static async Task<List<GenerationEvent>> AllAsync(ITextGenerator generator, GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var events = new List<GenerationEvent>();
        await foreach (var generationEvent in generator.GenerateAsync(request, cancellationToken))
            events.Add(generationEvent);
        return events;
    }

    internal static async Task<EngineException> FailureAsync(ITextGenerator generator, GenerationRequest? request = null)
    {
        var exception = await Assert.ThrowsAsync<EngineException>(() => AllAsync(generator, request ?? Hello));
        Assert.DoesNotContain(Key, exception.ToString(), StringComparison.Ordinal);
        return exception;
    }

    internal static string TextOf(IEnumerable<GenerationEvent> events) => string.Concat(events.OfType<GenerationDelta>().Select(delta => delta.Text));

    internal static string ReasoningOf(IEnumerable<GenerationEvent> events) => string.Concat(events.OfType<GenerationDelta>().Select(delta => delta.Reasoning));

    /// <summary>Calls put together as a client would: id and name of the first piece, all arguments.</summary>
    internal static List<ToolCall> CallsOf(IEnumerable<GenerationEvent> events) =>
        [.. events.OfType<GenerationDelta>().SelectMany(delta => delta.ToolCalls).GroupBy(call => call.Index).OrderBy(calls => calls.Key)
            .Select(calls => new ToolCall(calls.First().Id, calls.First().Name, string.Concat(calls.Select(call => call.Arguments))))];

    internal static string Sse(params object[] messages) => string.Concat(messages.Select(message => $"data: {(message as string ?? Json(message))}\n\n"));

    internal static string NamedSse(params object[] messages) => string.Concat(messages.Select(message =>
    {
        var json = Json(message);
        return $"event: {JsonNode.Parse(json)!["type"]}\ndata: {json}\n\n";
    }));

    internal static string Lines(params object[] messages) => string.Concat(messages.Select(message => Json(message) + "\n"));

    private static string Json(object message) => JsonSerializer.Serialize(message, Readable);

    /// <summary>Everything that is logged, at every level.</summary>
    internal sealed class LogLines : ILogger<RemoteModels>
    {
        private readonly StringBuilder _lines = new();

        public string All
        {
            get
            {
                lock (_lines)
                    return _lines.ToString();
            }
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_lines)
                _lines.AppendLine(formatter(state, exception)).AppendLine(exception?.ToString());
        }
    }
}
