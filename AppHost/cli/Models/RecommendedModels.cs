using System.Text.Json;
using Fleet.Provisioning;

namespace Fleet.Cli.Models;

/// <summary>The list that the administration page offers too (<c>services/inference/Models/models.json</c>), by short names.</summary>
internal sealed record RecommendedModel(string Id, string Repository, string File, string Kind, long SizeBytes, string Licence, string? Sha256, string Note)
{
    public static IReadOnlyList<RecommendedModel> Read(FleetPaths paths)
    {
        var file = Path.Combine(paths.Root, "services/inference/Models/models.json");
        return System.IO.File.Exists(file)
            ? JsonSerializer.Deserialize<List<RecommendedModel>>(System.IO.File.ReadAllText(file), JsonSerializerOptions.Web) ?? []
            : [];
    }
}
