using System.Globalization;
using Fleet.Contracts.Inference.V1;
using Fleet.Testing;
using Grpc.Core;
using Grpc.Net.Client;
using Contract = Fleet.Contracts.Inference.V1.Inference;

namespace Fleet.Benchmarks.Inference;

/// <summary>Fleet's inference service as it is deployed: its own process, called over gRPC.</summary>
internal sealed class FleetSide : Side
{
    public const string ModelId = "bench";

    // Kestrel allows 100 streams on a connection.
    private const int Channels = 4;
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);
    private readonly TestTokens _tokens;
    private readonly string _model;
    private readonly GrpcChannel[] _channels;
    private readonly Contract.InferenceClient[] _clients;
    private int _next;

    private FleetSide(MeasuredProcess process, TestTokens tokens, string model, Uri address, string flags)
        : base(process)
    {
        _tokens = tokens;
        _model = model;
        Flags = flags;
        _channels = [.. Enumerable.Range(0, Channels).Select(_ => GrpcChannel.ForAddress(address))];
        _clients = [.. _channels.Select(channel => new Contract.InferenceClient(channel))];
    }

    public override string Flags { get; }

    private Contract.InferenceClient Client => _clients[(uint)Interlocked.Increment(ref _next) % Channels];

    /// <param name="settings">Of the section Inference; the rest is as shipped.</param>
    public static async Task<FleetSide> StartAsync(BenchContext context, string modelFile, IReadOnlyDictionary<string, string> settings)
    {
        var directory = context.NewDirectory("fleet");
        var tokens = await TestTokens.StartAsync();
        var http = context.Ports.Get($"fleet-http-{Path.GetFileName(directory)}");
        var grpc = context.Ports.Get($"fleet-grpc-{Path.GetFileName(directory)}");
        var environment = tokens.Configuration.ToDictionary(setting => setting.Key.Replace(":", "__", StringComparison.Ordinal), setting => setting.Value);
        environment["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{http}";
        environment["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{grpc}";
        // Nobody listens there: statistics events are dropped, which costs the side measured a reconnection attempt now and then.
        environment["ConnectionStrings__rabbitmq"] = "amqp://guest:guest@127.0.0.1:1";
        environment["Logging__LogLevel__Default"] = "Warning";
        // MassTransit says every few seconds that the broker is away.
        environment["Logging__LogLevel__MassTransit"] = "None";
        environment["GGML_NO_BACKTRACE"] = "1";
        environment["Inference__ModelsDirectory"] = context.ModelsDirectory(modelFile);
        foreach (var (name, value) in settings)
            environment["Inference__" + name] = value;

        var program = Path.Combine(context.Paths.Root, "artifacts/bin/Fleet.Inference/release/Fleet.Inference.dll");
        var process = MeasuredProcess.Start("dotnet", [program], environment, Path.Combine(directory, "log.txt"), context.Registry, Path.GetDirectoryName(program));
        var side = new FleetSide(process, tokens, ModelId, new Uri($"http://127.0.0.1:{grpc}"), string.Join(' ', settings.Select(setting => $"{setting.Key}={setting.Value}")));
        try
        {
            await side.LoadAsync();
            return side;
        }
        catch
        {
            await side.DisposeAsync();
            throw;
        }
    }

    /// <summary>On every connection: one that idled for minutes is closed on its next use, which the caller then repeats.</summary>
    public override async Task WarmUpAsync()
    {
        for (var i = 0; i < Channels; i++)
        {
            try
            {
                await GenerateAsync(WarmUp);
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable)
            {
                i--;
                if (Process.HasExited)
                    throw new BenchmarkException($"Fleet's inference service ended:\n{Process.Tail()}");
                await Task.Delay(TimeSpan.FromMilliseconds(100));
            }
        }
    }

    public async Task<EngineStatus?> StatusAsync() =>
        (await Client.GetStatusAsync(new GetStatusRequest(), Headers())).Engines.FirstOrDefault(engine => engine.Model == _model);

    protected override async Task StreamAsync(Reply reply, CancellationToken cancellationToken)
    {
        var ask = reply.Ask;
        var request = new GenerateRequest
        {
            Model = _model,
            RequestId = Guid.NewGuid().ToString("N"),
            Caller = new Caller { TenantId = ask.Tenant, UserId = ask.Tenant, Lane = Lane.Interactive },
            MaxTokens = ask.Tokens,
            IgnoreEnd = true,
            BypassPrefixCache = ask.Bypass,
            Sampling = new SamplingParameters { Temperature = 0 },
            Logprobs = ask.TopLogprobs > 0,
            TopLogprobs = ask.TopLogprobs,
        };
        request.PromptTokens.AddRange(ask.Prompt);
        try
        {
            using var call = Client.Generate(request, Headers(), cancellationToken: cancellationToken);
            while (await call.ResponseStream.MoveNext(cancellationToken))
            {
                var message = call.ResponseStream.Current;
                switch (message.EventCase)
                {
                    case GenerateResponse.EventOneofCase.Delta:
                        if (message.Delta.TokenIds.Count > 0)
                            reply.Arrived(message.Delta.TokenIds.Count);
                        reply.TokenIds.AddRange(message.Delta.TokenIds);
                        reply.Chances.AddRange(message.Delta.Logprobs.Select(chances =>
                            new TokenChances(chances.TokenId, chances.Logprob, chances.Top.ToDictionary(top => top.TokenId, top => (double)top.Logprob))));
                        break;
                    case GenerateResponse.EventOneofCase.Finished:
                        reply.CachedTokens = message.Finished.Usage.CachedTokens;
                        reply.DraftedTokens = message.Finished.Usage.DraftedTokens;
                        reply.AcceptedTokens = message.Finished.Usage.AcceptedTokens;
                        break;
                }
            }
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.ResourceExhausted)
        {
            // Refused with numbers: an incomplete reply, which open loops count against this side.
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        foreach (var channel in _channels)
            channel.Dispose();
        await _tokens.DisposeAsync();
    }

    private async Task LoadAsync()
    {
        using var limit = new CancellationTokenSource(StartLimit);
        while (true)
        {
            try
            {
                using var call = Client.LoadModel(new LoadModelRequest { Model = _model }, Headers(), cancellationToken: limit.Token);
                var state = new LoadModelProgress();
                while (await call.ResponseStream.MoveNext(limit.Token))
                    state = call.ResponseStream.Current;
                if (state.State == ModelState.Ready)
                    return;
                throw new BenchmarkException($"Fleet could not load the model: {state.Error}\n{Process.Tail()}");
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable && !Process.HasExited && !limit.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), limit.Token);
            }
            catch (RpcException exception)
            {
                throw new BenchmarkException(string.Create(CultureInfo.InvariantCulture, $"Fleet's inference service did not start ({exception.Status.Detail}):\n{Process.Tail()}"));
            }
        }
    }

    private Metadata Headers() => new() { { "authorization", "Bearer " + _tokens.IssueService("chat") } };
}
