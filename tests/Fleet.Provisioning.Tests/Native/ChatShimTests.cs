using Fleet.Provisioning.Native;

namespace Fleet.Provisioning.Tests.Native;

/// <summary>With compilers that are shell scripts; the real one is used by every run of ./fleet test.</summary>
public sealed class ChatShimTests
{
    private const string Flavour = "linux-x64";

    // What follows -o is the file a compiler writes.
    private const string WritesOutput = "while [ \"$1\" != -o ]; do shift; done; echo compiled > \"$2\"";

    [Fact]
    public async Task EnsureAsync_CompilesOnceAndLeavesNothingElse()
    {
        using var cache = new Cache($"echo ran >> \"{{0}}/runs\"; {WritesOutput}");

        var file = await cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken);
        var again = await cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken);

        Assert.Equal(file, again);
        Assert.Matches("^libfleet-shim-[0-9a-f]{12}\\.so$", Path.GetFileName(file));
        Assert.Equal("compiled\n", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        Assert.Equal([file], Directory.GetFileSystemEntries(cache.Libraries));
        Assert.Single(await File.ReadAllLinesAsync(cache["runs"], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task EnsureAsync_OfTwoRunsAtOnce_CompilesOnce()
    {
        using var cache = new Cache($"echo ran >> \"{{0}}/runs\"; {WritesOutput}");

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken)));

        Assert.Single(await File.ReadAllLinesAsync(cache["runs"], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task EnsureAsync_WhenTheCompilerRefuses_SaysWhatItSaidAndLeavesNothing()
    {
        using var cache = new Cache("echo 'fleet_shim.cpp:1: no such header' >&2; exit 1");

        var refusal = await Assert.ThrowsAsync<ProvisioningException>(
            () => cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken));

        Assert.Contains("no such header", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(cache.Libraries));
    }

    [Fact]
    public async Task EnsureAsync_WhenTheCompilerWritesNothing_IsNoShim()
    {
        using var cache = new Cache("exit 0");

        await Assert.ThrowsAsync<ProvisioningException>(
            () => cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken));

        Assert.False(File.Exists(cache.Shim.FileFor(Flavour)));
    }

    [Fact]
    public async Task EnsureAsync_AfterAKilledRun_StartsAnew()
    {
        using var cache = new Cache(WritesOutput);
        var rest = Directory.CreateDirectory(cache.Shim.FileFor(Flavour) + ".partial");
        await File.WriteAllTextAsync(Path.Combine(rest.FullName, "libfleet-shim.so"), "half", TestContext.Current.CancellationToken);

        var file = await cache.Shim.EnsureAsync(Flavour, new Progress<string>(), TestContext.Current.CancellationToken);

        Assert.Equal("compiled\n", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        Assert.False(rest.Exists && Directory.Exists(rest.FullName));
    }

    [Fact]
    public async Task EnsureAsync_CancelledWhileCompiling_LeavesNothing()
    {
        using var cache = new Cache("touch \"{0}/started\"; sleep 60");
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var run = cache.Shim.EnsureAsync(Flavour, new Progress<string>(), stopping.Token);
        while (!File.Exists(cache["started"]))
            await Task.Delay(5, TestContext.Current.CancellationToken);

        await stopping.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        Assert.Empty(Directory.GetFileSystemEntries(cache.Libraries));
    }

    [Fact]
    public async Task TryEnsureAsync_WithoutAUsableCompiler_SaysSoAndGoesOn()
    {
        using var cache = new Cache("exit 0", executable: false);
        var said = new List<string>();

        var file = await cache.Shim.TryEnsureAsync(Flavour, new Immediate(said.Add), TestContext.Current.CancellationToken);

        Assert.Null(file);
        Assert.Contains(said, line => line.Contains("without the chat shim", StringComparison.Ordinal));
    }

    private sealed class Immediate(Action<string> report) : IProgress<string>
    {
        public void Report(string value) => report(value);
    }

    /// <summary>A cache in which libraries and headers are already there.</summary>
    private sealed class Cache : IDisposable
    {
        private readonly TemporaryFolder _folder = new();

        public Cache(string script, bool executable = true)
        {
            var compiler = _folder["compiler"];
            File.WriteAllText(compiler, "#!/bin/sh\n" + script.Replace("{0}", _folder.Path, StringComparison.Ordinal) + "\n");
            if (executable)
                File.SetUnixFileMode(compiler, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            Shim = new ChatShim(_folder.Path, compiler);
            Libraries = Directory.CreateDirectory(new NativeLibraries(_folder.Path).DirectoryFor(Flavour)).FullName;
            Directory.CreateDirectory(new LlamaSource(_folder.Path).Directory);
        }

        public ChatShim Shim { get; }

        public string Libraries { get; }

        public string this[string name] => _folder[name];

        public void Dispose() => _folder.Dispose();
    }
}
