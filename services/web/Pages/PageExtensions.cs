using Fleet.ServiceDefaults.Health;
using Microsoft.AspNetCore.ResponseCompression;

namespace Fleet.Web.Pages;

/// <summary>The built single-page app: its files, and its one page for every other address.</summary>
public static class PageExtensions
{
    private const string Page = "index.html";

    /// <summary>Vite names these after their content, so they never change under a name.</summary>
    private const string Hashed = "/assets";

    private static readonly StaticFileOptions Files = new()
    {
        OnPrepareResponse = file => file.Context.Response.Headers.CacheControl =
            file.Context.Request.Path.StartsWithSegments(Hashed) ? "public, max-age=31536000, immutable" : "no-cache",
    };

    internal static void AddPages(this WebApplicationBuilder builder)
    {
        builder.Services.AddResponseCompression(options =>
        {
            options.Providers.Add<BrotliCompressionProvider>();
            options.Providers.Add<GzipCompressionProvider>();
            options.MimeTypes = [.. ResponseCompressionDefaults.MimeTypes, "image/svg+xml"];
            // The files are public and hold no secret that an answer's length could give away.
            options.EnableForHttps = true;
        });
        builder.Services.AddHealthChecks().AddCheck<BuiltPageCheck>("page", tags: [HealthEndpoints.ReadyTag]);
    }

    internal static void UsePages(this WebApplication app)
    {
        app.UseResponseCompression();
        app.UseStaticFiles(Files);
    }

    /// <summary>Addresses of the app itself (<c>/c/…</c>) are its one page; a missing file stays 404.</summary>
    internal static void MapPages(this WebApplication app) => app.MapFallbackToFile(Page, Files).Add(endpoint =>
        endpoint.Metadata.Add(new HttpMethodMetadata([HttpMethods.Get, HttpMethods.Head])));
}
