namespace Microsoft.IdentityModel.Protocols;

public interface IConfigurationManager<T>
    where T : class
{
    Task<T> GetConfigurationAsync(CancellationToken cancel);

    /// <summary>The next call may fetch anew, when the last fetch is older than the refresh interval.</summary>
    void RequestRefresh();
}

public interface IConfigurationRetriever<T>
{
    Task<T> GetConfigurationAsync(string address, IDocumentRetriever retriever, CancellationToken cancel);
}

public interface IDocumentRetriever
{
    Task<string> GetDocumentAsync(string address, CancellationToken cancel);
}
