using Microsoft.AspNetCore.Hosting;

namespace Fleet.ServiceDefaults.Http;

internal static class KestrelDefaults
{
    public static IWebHostBuilder ConfigureKestrelDefaults(this IWebHostBuilder webHost) => webHost.UseKestrel(options =>
    {
        options.AddServerHeader = false;
        // JSON bodies are small; routes that take files raise this for themselves.
        options.Limits.MaxRequestBodySize = 10 * 1024 * 1024;
        // A token stream to a reader on a slow line is legitimate at any rate.
        options.Limits.MinResponseDataRate = null;
    });
}
