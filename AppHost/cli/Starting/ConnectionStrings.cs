namespace Fleet.Cli.Starting;

/// <summary>Connection strings that a person has set themselves: then nothing is started in their place.</summary>
internal static class ConnectionStrings
{
    private static readonly string[] Names = ["authdb", "chatdb", "knowledgedb", "analyticsdb", "notificationdb", "rabbitmq", "redis"];

    public static bool AllSet => Names.All(name => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable($"ConnectionStrings__{name}")));
}
