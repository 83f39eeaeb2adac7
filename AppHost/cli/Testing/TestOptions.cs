namespace Fleet.Cli.Testing;

/// <param name="Filters">Parts of project or check names; empty means everything.</param>
/// <param name="Method">xunit's own pattern for test methods, with <c>*</c> at either end.</param>
internal sealed record TestOptions(IReadOnlyList<string> Filters, string? Method)
{
    public bool Wants(string name) =>
        Filters.Count == 0 || Filters.Any(filter => name.Contains(filter, StringComparison.OrdinalIgnoreCase));
}
