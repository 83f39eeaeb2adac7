using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Fleet.Models;

namespace Fleet.Benchmarks;

/// <summary>A whole fleet of its own, as the AppHost describes it, with a tiny native model.</summary>
internal sealed class BenchmarkFleet : IAsyncDisposable
{
    public const string Model = "bench-llama";
    private static readonly string[] Services = ["auth", "inference", "knowledge", "chat", "analytics", "notification", "web", "gateway"];
    private readonly DistributedApplication _app;

    private BenchmarkFleet(DistributedApplication app) => _app = app;

    /// <summary>Starts everything and returns when every service is healthy.</summary>
    /// <param name="state">Its directory; the data in it stays when the fleet stops.</param>
    public static async Task<BenchmarkFleet> StartAsync(string state)
    {
        var models = Directory.CreateDirectory(Path.Combine(state, "data", "models")).FullName;
        var file = Path.Combine(models, Model + ".gguf");
        if (!File.Exists(file)) LlamaModel.Slow.Save(file);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Fleet_AppHost>([$"--Fleet:StateDirectory={state}"]);
        var app = await builder.BuildAsync();
        await app.StartAsync();
        foreach (var service in Services) await app.ResourceNotifications.WaitForResourceHealthyAsync(service);
        return new BenchmarkFleet(app);
    }

    public Uri Endpoint(string service, string endpoint) => _app.GetEndpoint(service, endpoint);

    /// <summary>A registered person's client of the gateway, and the access token.</summary>
    public async Task<(HttpClient Client, string Token)> RegisterAsync()
    {
        var client = new HttpClient { BaseAddress = Endpoint("gateway", "http") };
        var name = "bench" + Guid.NewGuid().ToString("N")[..12];
        const string Password = "a long enough passphrase 42";
        using (var registered = await client.PostAsJsonAsync("/api/auth/register", new { username = name, email = name + "@example.test", password = Password }))
            registered.EnsureSuccessStatusCode();
        using var response = await client.PostAsJsonAsync("/api/auth/login", new { username = name, password = Password });
        response.EnsureSuccessStatusCode();
        var token = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("accessToken").GetString()!;
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return (client, token);
    }

    /// <summary>Resident memory of every process below this one (services and servers), pages shared between them counted once.</summary>
    public static long MemoryBytes()
    {
        var parents = new Dictionary<int, int>();
        foreach (var process in Process.GetProcesses())
        {
            using (process)
            {
                if (Parent(process.Id) is { } parent) parents[process.Id] = parent;
            }
        }

        return parents.Keys.Where(id => IsBelow(id, Environment.ProcessId, parents)).Sum(ProportionalBytes);
    }

    private static bool IsBelow(int id, int ancestor, Dictionary<int, int> parents)
    {
        while (parents.TryGetValue(id, out var parent))
        {
            if (parent == ancestor) return true;
            id = parent;
        }

        return false;
    }

    private static int? Parent(int id)
    {
        try
        {
            // After the command's name, which may hold spaces: state, then the parent.
            var stat = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long ProportionalBytes(int id)
    {
        try
        {
            var line = File.ReadLines($"/proc/{id}/smaps_rollup").First(text => text.StartsWith("Pss:", StringComparison.Ordinal));
            return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return 0;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
