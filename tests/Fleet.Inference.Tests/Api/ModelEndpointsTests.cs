using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Fleet.Inference.Native;
using Fleet.Models;
using Fleet.Testing;

namespace Fleet.Inference.Tests.Api;

public sealed class ModelEndpointsTests(InferenceFixture fixture) : IClassFixture<InferenceFixture>
{
    private HttpClient Administrator => fixture.Service.CreateClient(fixture.Tokens.Issue(Guid.NewGuid(), "administrator"));

    [Fact]
    public async Task List_HasInstalledAndRecommended()
    {
        using var client = Administrator;

        var list = await client.GetFromJsonAsync<JsonElement>("/api/admin/models");

        var installed = list.GetProperty("installed").EnumerateArray().ToList();
        Assert.Contains(installed, model => model.GetProperty("id").GetString() == "fleet-extractive" && model.GetProperty("isDefault").GetBoolean());
        Assert.Contains(installed, model => model.GetProperty("id").GetString() == "broken" && model.GetProperty("error").GetString() is not null);
        Assert.True(list.GetProperty("recommended").GetArrayLength() > 3);
    }

    [Fact]
    public async Task EveryRoute_WithoutTheRole_IsRefused()
    {
        using var member = fixture.Service.CreateClient(fixture.Tokens.Issue(Guid.NewGuid(), "member"));
        using var nobody = fixture.Service.CreateClient();
        (HttpMethod Method, string Path)[] routes =
        [
            (HttpMethod.Get, "/api/admin/models"), (HttpMethod.Post, "/api/admin/models/rescan"), (HttpMethod.Post, "/api/admin/models/tiny-llama/load"),
            (HttpMethod.Post, "/api/admin/models/tiny-llama/unload"), (HttpMethod.Delete, "/api/admin/models/tiny-llama"),
            (HttpMethod.Get, "/api/admin/models/downloads"), (HttpMethod.Post, "/api/admin/models/downloads"), (HttpMethod.Get, "/api/admin/models/downloads/x"),
            (HttpMethod.Get, "/api/admin/models/downloads/x/events"), (HttpMethod.Delete, "/api/admin/models/downloads/x"),
        ];
        foreach (var (method, path) in routes)
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await member.SendAsync(new HttpRequestMessage(method, path))).StatusCode);
            Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.SendAsync(new HttpRequestMessage(method, path))).StatusCode);
        }
    }

    [Fact]
    public async Task LoadUnloadDelete_FollowAModelsLife()
    {
        Assert.SkipUnless(Directory.Exists(new NativeOptions().NativeLibraryDirectory), "llama.cpp is not installed; ./fleet test installs it.");
        using var client = Administrator;
        var path = Path.Combine(fixture.ModelsDirectory, "guest.gguf");
        LlamaModel.Tiny.Save(path);

        // The directory is watched: nobody asks for a rescan.
        await Eventually.TrueAsync(async () => (await client.GetStringAsync("/api/admin/models")).Contains("\"guest\"", StringComparison.Ordinal));
        var loaded = await client.PostAsync("/api/admin/models/guest/load", null);
        Assert.True(loaded.StatusCode == HttpStatusCode.OK, await loaded.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NoContent, (await client.PostAsync("/api/admin/models/guest/unload", null)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await client.DeleteAsync("/api/admin/models/guest")).StatusCode);

        Assert.False(File.Exists(path));
        Assert.Equal(HttpStatusCode.NotFound, (await client.PostAsync("/api/admin/models/guest/load", null)).StatusCode);
    }

    [Fact]
    public async Task Load_BrokenFile_SaysWhy()
    {
        using var client = Administrator;

        var response = await client.PostAsync("/api/admin/models/broken/load", null);

        Assert.Equal(HttpStatusCode.UnprocessableEntity, response.StatusCode);
        Assert.Contains("GGUF", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Downloads_RefusedSourceAndUnknownId_SayWhy()
    {
        using var client = Administrator;

        var refused = await client.PostAsJsonAsync("/api/admin/models/downloads", new { source = "http://hub.test/a.gguf" });
        var inside = await client.PostAsJsonAsync("/api/admin/models/downloads", new { source = "https://127.0.0.1:1/inside.gguf" });
        var id = (await inside.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString();

        Assert.Equal(HttpStatusCode.UnprocessableEntity, refused.StatusCode);
        Assert.Contains("https", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await client.PostAsJsonAsync("/api/admin/models/downloads", new { })).StatusCode);
        Assert.Equal(HttpStatusCode.Accepted, inside.StatusCode);
        var events = await client.GetStringAsync($"/api/admin/models/downloads/{id}/events");
        Assert.Contains("event: failed", events, StringComparison.Ordinal);
        Assert.Contains("not an address of the internet", events, StringComparison.Ordinal);
        Assert.Contains(id!, await client.GetStringAsync("/api/admin/models/downloads"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NoContent, (await client.DeleteAsync($"/api/admin/models/downloads/{id}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync($"/api/admin/models/downloads/{id}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync($"/api/admin/models/downloads/{id}/events")).StatusCode);
    }

    [Theory]
    [InlineData("fleet-extractive")]
    [InlineData("none")]
    [InlineData("..%2F..%2Fetc%2Fpasswd")]
    public async Task Delete_BuiltInOrUnknown_IsNotFound(string id)
    {
        using var client = Administrator;

        Assert.Equal(HttpStatusCode.NotFound, (await client.DeleteAsync($"/api/admin/models/{id}")).StatusCode);
    }
}
