using System.Net;
using System.Text;
using Xunit;

namespace Fleet.Auth.Tests;

public sealed class MalformedRequestTests(SharedAuthServer shared)
{
    public static TheoryData<string, string, string> Requests
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            var routes = new (string Method, string Path, string WrongType)[]
            {
                ("POST", "/api/auth/register", """{"username":1,"email":2,"password":3}"""),
                ("POST", "/api/auth/login", """{"username":["a"],"password":{}}"""),
                ("POST", "/api/auth/refresh", """{"refreshToken":42}"""),
                ("POST", "/api/auth/logout", """{"refreshToken":42}"""),
                ("PATCH", "/api/auth/me", """{"displayName":{}}"""),
                ("POST", "/api/auth/keys", """{"name":"x","expiresAt":"yesterday"}"""),
            };
            foreach (var (method, path, wrongType) in routes)
            {
                foreach (var body in (string[])["{", "[]", "\"text\"", "42", wrongType, """{"username":"\ud800"}""" + "x"])
                    data.Add(method, path, body);
            }

            foreach (var path in (string[])["register", "login", "refresh", "keys"])
            {
                data.Add("POST", "/api/auth/" + path, "{}");
                data.Add("POST", "/api/auth/" + path, "null");
                data.Add("POST", "/api/auth/" + path, "");
            }

            data.Add("POST", "/api/auth/login", """{"username":"a\u0000b","password":"x"}""");
            data.Add("POST", "/api/auth/login", """{"username":"a","password":null}""");
            data.Add("PATCH", "/api/auth/me", """{"displayName":"a\u0000b"}""");
            data.Add("PATCH", "/api/auth/me", $$"""{"displayName":"{{new string('x', 81)}}"}""");
            data.Add("POST", "/api/auth/keys", """{"name":""}""");
            data.Add("POST", "/api/auth/keys", """{"name":"x","expiresAt":"2001-01-01T00:00:00Z"}""");
            data.Add("GET", "/api/auth/keys?limit=0", "");
            data.Add("GET", "/api/auth/keys?limit=many", "");
            data.Add("GET", "/api/auth/keys?cursor=nonsense", "");
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Bad_input_is_the_callers_error_told_as_problem_details(string method, string path, string body)
    {
        using var client = shared.Server.Client(await TokenAsync());
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method != "GET")
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");

        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await AuthServer.JsonAsync(response);
        Assert.StartsWith("urn:fleet:problem:", problem.GetProperty("type").GetString());
        Assert.NotEmpty(problem.GetProperty("traceId").GetString()!);
    }

    [Fact]
    public async Task Other_media_types_are_refused()
    {
        // With a token: for strangers the framework's 415 endpoint is behind the fallback policy.
        using var client = shared.Server.Client(await TokenAsync());
        using var content = new StringContent("username=a", Encoding.UTF8, "text/plain");

        using var response = await client.PostAsync("/api/auth/login", content);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory]
    [InlineData("/api/auth/keys/not-a-guid")]
    [InlineData("/api/auth/keys/01a1f935-1ec2-7a0e-91e0-12ee712dd8f9")]
    [InlineData("/api/auth/sessions/not-a-guid")]
    [InlineData("/api/auth/sessions/01a1f935-1ec2-7a0e-91e0-12ee712dd8f9")]
    public async Task Unknown_ids_are_not_found(string path)
    {
        using var client = shared.Server.Client(await TokenAsync());

        using var response = await client.DeleteAsync(path);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    // One account serves all rows: signing in is what takes time here.
    private static readonly SemaphoreSlim Once = new(1, 1);
    private static string? _token;

    private async Task<string> TokenAsync()
    {
        await Once.WaitAsync();
        try
        {
            return _token ??= (await shared.Server.SignInAsync()).AccessToken;
        }
        finally
        {
            Once.Release();
        }
    }
}
