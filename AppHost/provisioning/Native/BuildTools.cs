using Fleet.Provisioning.Processes;

namespace Fleet.Provisioning.Native;

/// <summary>Programs that compile llama.cpp: found on the PATH, or installed where that is possible without asking.</summary>
public static class BuildTools
{
    /// <param name="programs">Of git, cmake, make and g++: those the caller runs.</param>
    /// <exception cref="ProvisioningException">One is missing and cannot be installed here; the message says what to install.</exception>
    public static async Task EnsureAsync(IReadOnlyList<string> programs, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var missing = programs.Where(program => Tool.Find(program) is null).ToList();
        if (missing.Count == 0)
            return;
        if (!UnixProcess.IsRoot || Tool.Find("apt-get") is not { } apt)
            throw new ProvisioningException($"Please install {string.Join(", ", missing)}: llama.cpp is compiled with them.");

        progress.Report($"Installing {string.Join(", ", missing)}");
        var quiet = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive" };
        // Debian's packages have the programs' names.
        string[] install = ["install", "--yes", "--no-install-recommends", .. missing];
        if ((await Tool.RunAsync(apt, install, cancellationToken, environment: quiet)).Succeeded)
            return;
        // The lists may be absent or old.
        await Tool.RunAsync(apt, ["update"], cancellationToken, environment: quiet);
        var result = await Tool.RunAsync(apt, install, cancellationToken, environment: quiet);
        if (!result.Succeeded)
            throw new ProvisioningException($"apt-get could not install {string.Join(", ", missing)}:\n{result.Tail()}");
    }
}
