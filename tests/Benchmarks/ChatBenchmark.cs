using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Fleet.Benchmarks.Measurement;
using Fleet.Contracts.Inference.V1;
using Grpc.Core;
using Grpc.Net.Client;
using Contract = Fleet.Contracts.Inference.V1.Inference;

namespace Fleet.Benchmarks;

/// <summary>
/// What gateway, chat, storage and the run log add to a direct inference call (performance.md C1, C2): the same prompt and length in
/// interleaved pairs A-B-B-A, time to first token and tokens per second of each.
/// </summary>
internal sealed class ChatBenchmark : Benchmark
{
    private const int Pairs = 40;
    private const int Tokens = 64;
    private const string Prompt = "Tell me about the sea.";

    public override string Name => "chat";

    public override string Description => "the chat path (gateway, chat, storage) against a direct inference call: first token and speed";

    public override async Task<BenchmarkResult> RunAsync(Action<string> progress)
    {
        var state = Directory.CreateTempSubdirectory("fleet-bench-").FullName;
        try
        {
            progress("starting a fleet ...");
            await using var fleet = await BenchmarkFleet.StartAsync(state);
            var (client, token) = await fleet.RegisterAsync();
            using var channel = GrpcChannel.ForAddress(fleet.Endpoint("inference", "grpc"));
            var inference = new Contract.InferenceClient(channel);
            for (var i = 0; i < 5; i++)
            {
                await DirectAsync(inference, token);
                await ChatAsync(client);
            }

            var direct = new List<Sample>();
            var chat = new List<Sample>();
            for (var pair = 0; pair < Pairs; pair++)
            {
                if (pair % 10 == 0) progress(string.Create(CultureInfo.InvariantCulture, $"pair {pair + 1} of {Pairs} ..."));
                if (pair % 2 == 0) direct.Add(await DirectAsync(inference, token));
                chat.Add(await ChatAsync(client));
                if (pair % 2 == 1) direct.Add(await DirectAsync(inference, token));
            }

            client.Dispose();
            var added = chat.Zip(direct, (a, b) => a.FirstTokenMs - b.FirstTokenMs).ToList();
            return new BenchmarkResult(Name,
                new Dictionary<string, double> { ["tokens_per_second"] = chat.Zip(direct, (a, b) => a.TokensPerSecond / b.TokensPerSecond).At(50) },
                new Dictionary<string, double>
                {
                    ["added_first_token_p50_ms"] = added.At(50),
                    ["added_first_token_p99_ms"] = added.At(99),
                    ["direct_first_token_p50_ms"] = direct.Select(sample => sample.FirstTokenMs).At(50),
                    ["chat_first_token_p50_ms"] = chat.Select(sample => sample.FirstTokenMs).At(50),
                    ["direct_tokens_per_s"] = direct.Select(sample => sample.TokensPerSecond).At(50),
                    ["chat_tokens_per_s"] = chat.Select(sample => sample.TokensPerSecond).At(50),
                });
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }

    private static async Task<Sample> DirectAsync(Contract.InferenceClient inference, string token)
    {
        var watch = Stopwatch.StartNew();
        double? first = null;
        var request = new GenerateRequest { Model = BenchmarkFleet.Model, MaxTokens = Tokens, Sampling = new SamplingParameters { Temperature = 0 } };
        request.Messages.Add(new ChatMessage { Role = Role.User, Content = Prompt });
        using var call = inference.Generate(request, new Metadata { { "authorization", "Bearer " + token } });
        var tokens = 0;
        await foreach (var response in call.ResponseStream.ReadAllAsync())
        {
            if (response.EventCase == GenerateResponse.EventOneofCase.Delta && response.Delta.Text.Length > 0) first ??= watch.Elapsed.TotalMilliseconds;
            if (response.EventCase == GenerateResponse.EventOneofCase.Finished) tokens = response.Finished.Usage.CompletionTokens;
        }

        return new Sample(first!.Value, tokens / watch.Elapsed.TotalSeconds);
    }

    /// <summary>In a new session each time, so that every prompt is as long as the direct call's.</summary>
    private static async Task<Sample> ChatAsync(HttpClient client)
    {
        using var created = await client.PostAsJsonAsync("/api/sessions", new { config = new { model = BenchmarkFleet.Model, maxTokens = Tokens, temperature = 0 } });
        created.EnsureSuccessStatusCode();
        var session = (await created.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString();

        var watch = Stopwatch.StartNew();
        double? first = null;
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/sessions/{session}/messages") { Content = JsonContent.Create(new { content = Prompt }) };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        response.EnsureSuccessStatusCode();
        await using var stream = await response.Content.ReadAsStreamAsync();
        var tokens = 0;
        await foreach (var item in SseParser.Create(stream).EnumerateAsync())
        {
            if (item.EventType == "token") first ??= watch.Elapsed.TotalMilliseconds;
            if (item.EventType == "done") tokens = JsonElement.Parse(item.Data).GetProperty("message").GetProperty("tokenCounts").GetProperty("completion").GetInt32();
        }

        return new Sample(first!.Value, tokens / watch.Elapsed.TotalSeconds);
    }

    private readonly record struct Sample(double FirstTokenMs, double TokensPerSecond);
}
