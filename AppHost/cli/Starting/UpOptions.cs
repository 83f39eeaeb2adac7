namespace Fleet.Cli.Starting;

internal sealed record UpOptions(int Port, bool Detach, int ChatReplicas, int InferenceReplicas, TimeSpan Limit, bool Build = true)
{
    /// <summary>As the AppHost's configuration reads it (section <c>Fleet</c>).</summary>
    public Dictionary<string, string> ToEnvironment() => new()
    {
        ["Fleet__Port"] = $"{Port}",
        ["Fleet__Replicas__Chat"] = $"{ChatReplicas}",
        ["Fleet__Replicas__Inference"] = $"{InferenceReplicas}",
    };
}
