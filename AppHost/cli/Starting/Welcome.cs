using Fleet.Cli.Running;
using Fleet.Provisioning;
using Spectre.Console;

namespace Fleet.Cli.Starting;

/// <summary>What to do now that the fleet is up: addresses, the administrator's password (the first time) and a first command.</summary>
internal static class Welcome
{
    public static void Write(IAnsiConsole console, FleetPaths paths, bool firstStart)
    {
        var gateway = FleetState.Read(paths)?.Address("gateway")?.TrimEnd('/') ?? "http://localhost:8080";
        console.WritePlain("");
        console.WriteDone("Fleet is up");
        console.WritePlain($"  Chat            {gateway}/");
        console.WritePlain($"  OpenAI API      {gateway}/v1");
        console.WritePlain($"  Health          {gateway}/health");
        console.WritePlain("  User            admin");
        console.WritePlain(firstStart && File.Exists(paths.AdminPasswordFile)
            ? $"  Password        {File.ReadAllText(paths.AdminPasswordFile).Trim()}   (shown this once; kept in {paths.AdminPasswordFile})"
            : $"  Password        in {paths.AdminPasswordFile}");
        console.WritePlain($$"""

              Try it:
                ./fleet ask "What can you do?"
                curl -s {{gateway}}/api/auth/login -H 'Content-Type: application/json' \
                  -d "{\"username\":\"admin\",\"password\":\"$(cat {{paths.AdminPasswordFile}})\"}"

            """);
    }
}
