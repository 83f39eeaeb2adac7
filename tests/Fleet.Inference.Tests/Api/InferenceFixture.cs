using Fleet.Models;
using Fleet.Testing;
using Grpc.Core;
using Grpc.Net.Client;
using Contract = Fleet.Contracts.Inference.V1.Inference;

namespace Fleet.Inference.Tests.Api;

/// <summary>The real service on real Kestrel with its own models directory, the broker of this test run and tokens it trusts.</summary>
public sealed class InferenceFixture : IAsyncLifetime
{
    private readonly List<GrpcChannel> _channels = [];

    public string ModelsDirectory { get; } = Directory.CreateTempSubdirectory("fleet-api-").FullName;

    public TestTokens Tokens { get; private set; } = null!;

    public ServiceFactory<Program> Service { get; private set; } = null!;

    internal Contract.InferenceClient Client => ClientWith(Tokens.IssueService("chat"));

    public async ValueTask InitializeAsync()
    {
        Tokens = await TestTokens.StartAsync();
        LlamaModel.Tiny.Save(Path.Combine(ModelsDirectory, "tiny-llama.gguf"));
        BertModel.Tiny.Save(Path.Combine(ModelsDirectory, "tiny-bert.gguf"));
        await File.WriteAllTextAsync(Path.Combine(ModelsDirectory, "broken.gguf"), "not a model");
        (LlamaModel.Tiny with { Layers = 0 }).Save(Path.Combine(ModelsDirectory, "no-layers.gguf"));
        Service = await ServiceFactory<Program>.StartAsync(new Dictionary<string, string?>(Tokens.Configuration)
        {
            ["ConnectionStrings:rabbitmq"] = await BackingServers.RabbitMqAsync(),
            ["Messaging:Prefix"] = BackingServers.NewPrefix(),
            ["Inference:ModelsDirectory"] = ModelsDirectory,
            ["Inference:DefaultChatModel"] = "fleet-extractive",
            ["Inference:ContextTokens"] = "256",
            ["Inference:BatchTokens"] = "64",
            ["Inference:Threads"] = "1",
        }, grpc: true);
    }

    internal Contract.InferenceClient ClientWith(string? token)
    {
        var channel = GrpcChannel.ForAddress(Service.GrpcAddress);
        _channels.Add(channel);
        return new Contract.InferenceClient(token is null ? channel.CreateCallInvoker() : new BearerInvoker(channel.CreateCallInvoker(), token));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var channel in _channels)
            channel.Dispose();
        await Service.DisposeAsync();
        await Tokens.DisposeAsync();
        Directory.Delete(ModelsDirectory, recursive: true);
    }

    /// <summary>Puts the bearer token on every call, as the fleet's clients do.</summary>
    private sealed class BearerInvoker(CallInvoker inner, string token) : CallInvoker
    {
        public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            inner.BlockingUnaryCall(method, host, WithToken(options), request);

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            inner.AsyncUnaryCall(method, host, WithToken(options), request);

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            inner.AsyncServerStreamingCall(method, host, WithToken(options), request);

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            inner.AsyncClientStreamingCall(method, host, WithToken(options));

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            inner.AsyncDuplexStreamingCall(method, host, WithToken(options));

        private CallOptions WithToken(CallOptions options) => options.WithHeaders(new Metadata { { "authorization", $"Bearer {token}" } });
    }
}
