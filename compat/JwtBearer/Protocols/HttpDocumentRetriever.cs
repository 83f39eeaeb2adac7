namespace Microsoft.IdentityModel.Protocols;

/// <summary>Fetches a metadata document by HTTP.</summary>
public class HttpDocumentRetriever(HttpClient httpClient) : IDocumentRetriever
{
    public HttpDocumentRetriever()
        : this(new HttpClient())
    {
    }

    public bool RequireHttps { get; set; } = true;

    public async Task<string> GetDocumentAsync(string address, CancellationToken cancel)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(address);
        if (RequireHttps && !address.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
            throw new ArgumentException($"The address '{address}' does not use HTTPS.", nameof(address));

        using var response = await httpClient.GetAsync(new Uri(address), cancel).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            throw new IOException($"'{address}' answered {(int)response.StatusCode}.");

        return await response.Content.ReadAsStringAsync(cancel).ConfigureAwait(false);
    }
}
