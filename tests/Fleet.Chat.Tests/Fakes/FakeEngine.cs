using System.Collections.Concurrent;
using Fleet.Contracts.Inference.V1;
using Fleet.Contracts.Knowledge.V1;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fleet.Chat.Tests.Fakes;

/// <summary>
/// Inference and knowledge on real Kestrel over real gRPC, doing what a test says: failures happen exactly where it wants them.
/// </summary>
public sealed class FakeEngine : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeEngine(WebApplication app) => _app = app;

    internal delegate Task Script(GenerateRequest request, IServerStreamWriter<GenerateResponse> stream, ServerCallContext context);

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>What the next calls of Generate do, in this order; then the default, which echoes the last message.</summary>
    internal ConcurrentQueue<Script> Scripts { get; } = new();

    internal ConcurrentQueue<GenerateRequest> Requests { get; } = new();

    private readonly ConcurrentDictionary<string, string?> _people = new(StringComparer.Ordinal);
    private volatile string? _test;

    /// <summary>Ties a person to the running test: a run that an earlier test left behind must not take this one's script.</summary>
    internal void Welcome(Guid person)
    {
        _test = Xunit.TestContext.Current.Test?.UniqueID;
        _people[person.ToString()] = _test;
    }

    internal bool TryTakeScript(GenerateRequest request, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Script? script)
    {
        script = null;
        var isLeftOver = _people.TryGetValue(request.Caller?.UserId ?? "", out var test) && test != _test;
        return !isLeftOver && Scripts.TryDequeue(out script);
    }

    internal ConcurrentQueue<SearchRequest> Searches { get; } = new();

    internal ConcurrentQueue<string?> SearchTokens { get; } = new();

    internal ConcurrentQueue<string?> GenerateTokens { get; } = new();

    internal Func<SearchRequest, SearchResponse> OnSearch { get; set; } = _ => new SearchResponse();

    /// <summary>Context length that the default model claims.</summary>
    internal int ContextTokens { get; set; } = 4096;

    public static async Task<FakeEngine> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        // The appsettings.json beside this assembly is the service's, not ours.
        foreach (var file in builder.Configuration.Sources.OfType<JsonConfigurationSource>().ToList()) builder.Configuration.Sources.Remove(file);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        var holder = new FakeEngineHolder();
        builder.Services.AddSingleton(holder);
        var app = builder.Build();
        var engine = new FakeEngine(app);
        holder.Engine = engine;
        app.MapGrpcService<FakeInference>();
        app.MapGrpcService<FakeKnowledge>();
        await app.StartAsync();
        return engine;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>Answers with these pieces, a token each, going on after <c>continue_from</c>.</summary>
    internal static Script Reply(params string[] pieces) => async (request, stream, _) =>
    {
        await StartedAsync(request, stream);
        await PiecesAsync(request, stream, pieces);
        await FinishAsync(stream, pieces.Length);
    };

    /// <summary>Writes the pieces and then dies with the status.</summary>
    internal static Script Break(StatusCode status, params string[] pieces) => async (request, stream, _) =>
    {
        await StartedAsync(request, stream);
        await PiecesAsync(request, stream, pieces);
        throw new RpcException(new Status(status, "as the test wants it"));
    };

    /// <summary>Refuses before anything was generated.</summary>
    internal static Script Refuse(StatusCode status, int? retryAfterMs = null) => (_, _, _) =>
        throw new RpcException(new Status(status, "as the test wants it"),
            retryAfterMs is { } wait ? new Metadata { { "fleet-retry-after-ms", wait.ToString(System.Globalization.CultureInfo.InvariantCulture) } } : []);

    internal static Task StartedAsync(GenerateRequest request, IServerStreamWriter<GenerateResponse> stream) => stream.WriteAsync(new GenerateResponse
    {
        Started = new GenerationStarted { Model = request.Model.Length == 0 ? "fake/chat" : request.Model, PromptTokens = 7, CachedTokens = 2 },
    });

    internal static Task DeltaAsync(IServerStreamWriter<GenerateResponse> stream, string text) =>
        stream.WriteAsync(new GenerateResponse { Delta = new GenerationDelta { Text = text, TokenIds = { 1 } } });

    internal static Task FinishAsync(IServerStreamWriter<GenerateResponse> stream, int tokens) => stream.WriteAsync(new GenerateResponse
    {
        Finished = new GenerationFinished
        {
            Reason = FinishReason.Stop,
            Usage = new Usage { PromptTokens = 7, CachedTokens = 2, CompletionTokens = tokens },
            Timings = new Timings(),
        },
    });

    private static async Task PiecesAsync(GenerateRequest request, IServerStreamWriter<GenerateResponse> stream, string[] pieces)
    {
        var written = "";
        foreach (var piece in pieces)
        {
            written += piece;
            if (written.Length > request.ContinueFrom.Length) await DeltaAsync(stream, piece);
        }
    }
}

/// <summary>A reply that a test lets out piece by piece.</summary>
internal sealed class HeldReply
{
    private readonly System.Threading.Channels.Channel<string?> _pieces = System.Threading.Channels.Channel.CreateUnbounded<string?>();
    private readonly TaskCompletionSource _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<GenerateRequest> _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the caller has cancelled the call.</summary>
    public Task Cancelled => _cancelled.Task;

    public Task<GenerateRequest> Begun => _begun.Task;

    public void Send(string piece) => _pieces.Writer.TryWrite(piece);

    public void Finish() => _pieces.Writer.TryWrite(null);

    public async Task RunAsync(GenerateRequest request, IServerStreamWriter<GenerateResponse> stream, ServerCallContext context)
    {
        await FakeEngine.StartedAsync(request, stream);
        _begun.TrySetResult(request);
        var tokens = 0;
        try
        {
            await foreach (var piece in _pieces.Reader.ReadAllAsync(context.CancellationToken))
            {
                if (piece is null)
                {
                    await FakeEngine.FinishAsync(stream, tokens);
                    return;
                }

                tokens++;
                await FakeEngine.DeltaAsync(stream, piece);
            }
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult();
            throw;
        }
    }
}
