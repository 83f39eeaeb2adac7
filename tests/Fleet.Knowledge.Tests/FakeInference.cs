using System.Text;
using Fleet.Contracts.Inference.V1;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Fleet.Knowledge.Tests;

/// <summary>Answers Embed with hashed character bigrams: deterministic, and near for texts that share words.</summary>
internal sealed class FakeInference : Inference.InferenceBase, IAsyncDisposable
{
    public const int Dimensions = 512;

    private readonly WebApplication _app;
    private volatile Func<EmbedRequest, Task>? _before;
    private int _texts;

    private FakeInference()
    {
        // Not the directory of the tests: the settings of the service under test lie there, ports included.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        _app = builder.Build();
        _app.MapGrpcService<FakeInference>();
    }

    public string Space { get; set; } = "test-bigrams-v1";

    /// <summary>Texts embedded so far.</summary>
    public int Texts => _texts;

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    public static async Task<FakeInference> StartAsync()
    {
        var fake = new FakeInference();
        await fake._app.StartAsync();
        return fake;
    }

    /// <summary>Runs before every answer; throw an <see cref="RpcException"/> to refuse. Null for none.</summary>
    public void Before(Func<EmbedRequest, Task>? action) => _before = action;

    public override async Task<EmbedResponse> Embed(EmbedRequest request, ServerCallContext context)
    {
        if (context.RequestHeaders.GetValue("authorization")?.StartsWith("Bearer ", StringComparison.Ordinal) != true)
            throw new RpcException(new Status(StatusCode.Unauthenticated, "no token"));
        if (request.Texts.Count is 0 or > 64)
            throw new RpcException(new Status(StatusCode.InvalidArgument, "texts"));
        if (_before is { } before)
            await before(request);

        Interlocked.Add(ref _texts, request.Texts.Count);
        var response = new EmbedResponse { Model = "test", Space = Space, Dimensions = Dimensions };
        foreach (var text in request.Texts)
        {
            var embedding = new Embedding();
            embedding.Values.AddRange(Vector(text));
            response.Embeddings.Add(embedding);
        }

        return response;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private static float[] Vector(string text)
    {
        var vector = new float[Dimensions];
        var lower = " " + text.ToLowerInvariant() + " ";
        for (var i = 0; i + 2 < lower.Length; i++)
        {
            // FNV-1a: the same in every process, unlike string.GetHashCode.
            var hash = 2166136261u;
            foreach (var value in Encoding.UTF8.GetBytes(lower.Substring(i, 2)))
                hash = (hash ^ value) * 16777619;
            vector[hash % Dimensions]++;
        }

        var length = MathF.Sqrt(vector.Sum(value => value * value));
        return [.. vector.Select(value => length == 0 ? 0 : value / length)];
    }
}
