namespace Fleet.Cli.Models;

/// <summary>Where a model is downloaded from.</summary>
internal sealed record ModelSource(Uri Address, string FileName)
{
    public const string HubVariable = "FLEET_MODEL_HUB";
    public const string DefaultHub = "https://huggingface.co";

    /// <param name="text">An http(s) address, or <c>owner/repository/path/file.gguf</c> on the hub.</param>
    /// <param name="hub">The hub's address, or null for the configured one.</param>
    public static ModelSource Parse(string text, string? hub)
    {
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "https" or "http"
                ? new ModelSource(address!, Path.GetFileName(address!.LocalPath))
                : throw new CommandException($"{text} is not an http address.");
        }

        var parts = text.Split('/');
        if (parts.Length < 3 || parts.Any(part => part is "" or "." or ".."))
            throw new CommandException($"{text} is neither a recommended model (./fleet models list), nor an address, nor owner/repository/file.gguf.");
        var configured = Environment.GetEnvironmentVariable(HubVariable);
        var root = hub ?? (string.IsNullOrEmpty(configured) ? DefaultHub : configured);
        var path = string.Join('/', parts.Skip(2).Select(Uri.EscapeDataString));
        return new ModelSource(new Uri($"{root.TrimEnd('/')}/{parts[0]}/{parts[1]}/resolve/main/{path}"), parts[^1]);
    }
}
