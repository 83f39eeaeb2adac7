using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Contracts.Inference.V1;
using Fleet.Inference.Native;
using Fleet.Models;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Api;

public sealed class StatusEndpointsTests(InferenceFixture fixture) : IClassFixture<InferenceFixture>
{
    [Fact]
    public async Task Status_WhileAReplyRuns_ShowsItsSequenceAndTheCache()
    {
        Assert.SkipUnless(Directory.Exists(new NativeOptions().NativeLibraryDirectory), "llama.cpp is not installed; ./fleet test installs it.");
        using var administrator = fixture.Service.CreateClient(fixture.Tokens.Issue(Guid.NewGuid(), "administrator"));
        LlamaModel.Slow.Save(Path.Combine(fixture.ModelsDirectory, "slow-llama.gguf"));
        await Eventually.TrueAsync(async () => (await administrator.GetStringAsync("/api/admin/models")).Contains("\"slow-llama\"", StringComparison.Ordinal));
        var request = new GenerateRequest { Model = "slow-llama", RequestId = "seen", IgnoreEnd = true, Prompt = "hello", Caller = new Caller { Lane = Lane.Batch } };
        using var cancel = new CancellationTokenSource();
        using var call = fixture.Client.Generate(request, cancellationToken: cancel.Token);
        Assert.True(await call.ResponseStream.MoveNext(cancel.Token));

        var status = await administrator.GetFromJsonAsync<JsonElement>("/api/admin/models/status");
        await cancel.CancelAsync();

        Assert.NotEmpty(status.GetProperty("nativeVersion").GetString()!);
        Assert.NotEqual(0, status.GetProperty("devices").GetArrayLength());
        var engine = status.GetProperty("engines").EnumerateArray().Single(candidate => candidate.GetProperty("model").GetString() == "slow-llama");
        Assert.True(engine.GetProperty("kvCells").GetInt32() > 0);
        var sequence = status.GetProperty("sequences").EnumerateArray().Single(candidate => candidate.GetProperty("requestId").GetString() == "seen");
        Assert.Equal("batch", sequence.GetProperty("lane").GetString());
        Assert.Contains(sequence.GetProperty("state").GetString(), (string[])["prefill", "decode"]);
    }

    [Fact]
    public async Task Status_WithoutTheRole_IsRefused()
    {
        using var member = fixture.Service.CreateClient(fixture.Tokens.Issue(Guid.NewGuid(), "member"));

        Assert.Equal(HttpStatusCode.Forbidden, (await member.GetAsync("/api/admin/models/status")).StatusCode);
    }
}
