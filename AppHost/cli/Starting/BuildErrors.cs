using Fleet.Provisioning.Processes;

namespace Fleet.Cli.Starting;

internal static class BuildErrors
{
    private const int Shown = 30;

    /// <summary>Each error of a failed build once; MSBuild repeats them in its summary.</summary>
    public static string Of(ToolResult result)
    {
        var errors = result.Output.Split('\n')
            .Where(line => line.Contains(": error ", StringComparison.Ordinal))
            .Select(line => line.Trim())
            .Distinct(StringComparer.Ordinal)
            .Take(Shown)
            .ToList();
        return errors.Count > 0 ? string.Join('\n', errors) : result.Tail(40);
    }
}
