using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Orchestration;

/// <summary>Asks a replica's own HTTP health addresses. Healthy means that all of them answer as declared.</summary>
internal sealed class HttpHealth : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };

    public Func<CancellationToken, Task<bool>>? For(ResourceInstance instance)
    {
        var checks = instance.Resource.Annotations.OfType<HttpHealthCheckAnnotation>().ToArray();
        return checks.Length == 0 ? null : AskAllAsync;

        async Task<bool> AskAllAsync(CancellationToken cancellationToken)
        {
            foreach (var check in checks)
            {
                var port = instance.Endpoints[check.Endpoint.EndpointName].Port;
                if (!await AnswersAsync(new Uri($"{check.Endpoint.Scheme}://127.0.0.1:{port}{check.Path}"), check.StatusCode, cancellationToken))
                    return false;
            }

            return true;
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<bool> AnswersAsync(Uri address, int statusCode, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return (int)response.StatusCode == statusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }
}
