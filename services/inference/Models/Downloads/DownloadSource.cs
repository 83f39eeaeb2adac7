namespace Fleet.Inference.Models.Downloads;

/// <summary>Where a model comes from and what its file will be called.</summary>
internal sealed record DownloadSource(Uri Address, string FileName, string? Sha256)
{
    /// <param name="text">A recommended model's id, an address, or owner/repository/path/file.gguf on the hub.</param>
    /// <param name="sha256">64 hexadecimal digits, or null when nobody knows.</param>
    /// <exception cref="DownloadException">It is none of these, or would not be allowed.</exception>
    public static DownloadSource Parse(string text, string? sha256, DownloadsOptions options)
    {
        if (sha256 is not null && (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigit)))
            throw new DownloadException("The checksum is not 64 hexadecimal digits.");

        if (RecommendedModels.All.FirstOrDefault(model => model.Id == text) is { } known)
            return Parse($"{known.Repository}/{known.File}", sha256 ?? known.Sha256, options);

        if (!text.Contains("://", StringComparison.Ordinal))
        {
            var parts = text.Split('/');
            if (parts.Length < 3 || parts.Any(part => part is "" or "." or ".." || part.Contains('\\', StringComparison.Ordinal)))
                throw new DownloadException("The source is neither a recommended model, nor an address, nor owner/repository/file.gguf.");
            var path = string.Join('/', parts.Skip(2).Select(Uri.EscapeDataString));
            text = $"{options.HubAddress.TrimEnd('/')}/{Uri.EscapeDataString(parts[0])}/{Uri.EscapeDataString(parts[1])}/resolve/main/{path}";
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var address))
            throw new DownloadException("The source is not an address.");
        CheckScheme(address, options);

        var name = Path.GetFileName(Uri.UnescapeDataString(address.AbsolutePath));
        if (!name.EndsWith(".gguf", StringComparison.Ordinal) || name.StartsWith('.') || name.Length > 200 || name.Any(c => char.IsControl(c) || c is '/' or '\\'))
            throw new DownloadException("The source does not end in the name of a GGUF file.");
        return new DownloadSource(address, name, sha256?.ToLowerInvariant());
    }

    /// <summary>Also for every address a server redirects to.</summary>
    public static void CheckScheme(Uri address, DownloadsOptions options)
    {
        if (address.Scheme != Uri.UriSchemeHttps && !(options.AllowHttp && address.Scheme == Uri.UriSchemeHttp))
            throw new DownloadException($"Models are only fetched over https, not {address.Scheme} ({DownloadsOptions.SectionName}:AllowHttp changes that).");
        if (address.UserInfo.Length > 0)
            throw new DownloadException("The address must not contain a name or password.");
    }
}
