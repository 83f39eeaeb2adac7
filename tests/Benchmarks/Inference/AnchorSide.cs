using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Fleet.Benchmarks.Inference;

/// <param name="Name">default, or what is different.</param>
/// <param name="Arguments">Beside model, address, threads, slots and context.</param>
internal sealed record AnchorVariant(string Name, IReadOnlyList<string> Arguments, IReadOnlyDictionary<string, string?> Environment)
{
    private static readonly Dictionary<string, string?> Nothing = [];
    private static readonly string[] SmallBatch = ["-b", "128", "-ub", "128"];

    /// <summary>As it comes.</summary>
    public static AnchorVariant Default { get; } = new("default", [], Nothing);

    /// <summary>What people tune it to for many streams (performance.md §1.1).</summary>
    public static AnchorVariant ShortBatches { get; } = new("-b 128 -ub 128", SmallBatch, Nothing);

    /// <summary>Threads sleep instead of spinning: best when others want the processors.</summary>
    public static AnchorVariant Passive { get; } = new(
        "-b 128 -ub 128, OMP_WAIT_POLICY=passive", SmallBatch, new Dictionary<string, string?> { ["OMP_WAIT_POLICY"] = "passive" });

    public static IReadOnlyList<AnchorVariant> Tuned { get; } =
    [
        ShortBatches,
        new("-b 128 -ub 128 --kv-unified", [.. SmallBatch, "--kv-unified"], Nothing),
        new("-b 128 -ub 128 --backend-sampling", [.. SmallBatch, "--backend-sampling"], Nothing),
        Passive,
    ];
}

/// <summary>llama.cpp's own server, from the same source as Fleet's libraries.</summary>
internal sealed class AnchorSide : Side
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);
    private readonly HttpClient _client;

    private AnchorSide(MeasuredProcess process, Uri address, string flags)
        : base(process)
    {
        Flags = flags;
        _client = new HttpClient { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
    }

    public override string Flags { get; }

    /// <param name="slots">Replies at a time.</param>
    /// <param name="slotTokens">Context of each; what the row needs and no more.</param>
    public static async Task<AnchorSide> StartAsync(BenchContext context, AnchorVariant variant, int slots, int slotTokens, string? program = null, string? model = null)
    {
        var directory = context.NewDirectory("anchor");
        var port = context.Ports.Get($"anchor-{Path.GetFileName(directory)}");
        var threads = context.Threads.ToString(System.Globalization.CultureInfo.InvariantCulture);
        string[] measured = ["-t", threads, "-np", $"{slots}", "-c", $"{slots * slotTokens}", .. variant.Arguments];
        var process = MeasuredProcess.Start(
            program ?? context.Reference.Server, ["-m", model ?? context.Model.Path, "--host", "127.0.0.1", "--port", $"{port}", "--no-ui", .. measured],
            variant.Environment, Path.Combine(directory, "log.txt"), context.Registry);
        var flags = string.Join(' ', [.. variant.Environment.Select(setting => $"{setting.Key}={setting.Value}"), .. measured]);
        var side = new AnchorSide(process, new Uri($"http://127.0.0.1:{port}"), flags);
        try
        {
            await side.WaitAsync();
            return side;
        }
        catch
        {
            await side.DisposeAsync();
            throw;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await base.DisposeAsync();
    }

    protected override async Task StreamAsync(Reply reply, CancellationToken cancellationToken)
    {
        var ask = reply.Ask;
        using var request = new HttpRequestMessage(HttpMethod.Post, "/completion")
        {
            Content = JsonContent.Create(new
            {
                prompt = ask.Prompt,
                n_predict = ask.Tokens,
                stream = !ask.AllIds,
                ignore_eos = true,
                temperature = 0,
                cache_prompt = !ask.Bypass,
                return_tokens = true,
            }),
        };
        // The server gives up connections that idle for some seconds, and it stands still for longer: none is used twice.
        request.Headers.ConnectionClose = true;
        using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.EnsureSuccessStatusCode();
        if (ask.AllIds)
        {
            var whole = await response.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
            reply.TokenIds.AddRange(whole.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32()));
            reply.Arrived(reply.TokenIds.Count);
            return;
        }

        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        var told = 0;
        while (await lines.ReadLineAsync(cancellationToken) is { } line)
        {
            const string Data = "data: ";
            if (!line.StartsWith(Data, StringComparison.Ordinal))
                continue;
            var message = JsonElement.Parse(line.AsSpan(Data.Length));
            var tokens = message.TryGetProperty("tokens", out var ids) ? ids.GetArrayLength() : 0;
            if (tokens > 0)
                reply.TokenIds.AddRange(ids.EnumerateArray().Select(id => id.GetInt32()));
            var last = message.TryGetProperty("stop", out var stop) && stop.GetBoolean();
            if (last)
            {
                // Tokens whose text was held back count when the end tells of them.
                tokens = message.GetProperty("tokens_predicted").GetInt32() - told;
                if (message.TryGetProperty("timings", out var timings) && timings.TryGetProperty("cache_n", out var cached))
                    reply.CachedTokens = cached.GetInt32();
            }

            if (tokens > 0)
                reply.Arrived(tokens);
            told += tokens;
            if (last)
                return;
        }
    }

    private async Task WaitAsync()
    {
        using var limit = new CancellationTokenSource(StartLimit);
        while (true)
        {
            try
            {
                using var health = await _client.GetAsync("/health", limit.Token);
                if (health.StatusCode == HttpStatusCode.OK)
                    return;
            }
            catch (HttpRequestException) when (!Process.HasExited)
            {
                // Not listening yet.
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
            {
                throw new BenchmarkException($"llama-server did not start:\n{Process.Tail()}");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), limit.Token);
        }
    }
}
