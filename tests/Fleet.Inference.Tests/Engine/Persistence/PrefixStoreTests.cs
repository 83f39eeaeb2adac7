using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Persistence;
using Fleet.Inference.Scheduling;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Persistence;

public sealed class PrefixStoreTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"fleet-prefixes-{Guid.NewGuid():N}");

    [Fact]
    public void Read_OfWhatWasWritten_IsTheSame()
    {
        var prefix = Prefix(1);

        var read = StoredPrefix.Read(Bytes(prefix))!;

        Assert.Equal((prefix.Identity, prefix.Key, prefix.FileName), (read.Identity, read.Key, read.FileName));
        Assert.Equal(prefix.Tokens, read.Tokens);
        Assert.Equal(prefix.State, read.State);
    }

    [Fact]
    public void Read_OfAnythingElse_IsNull()
    {
        var bytes = Bytes(Prefix(1));
        for (var length = 0; length < bytes.Length; length++)
            Assert.Null(StoredPrefix.Read(bytes.AsSpan(0, length)));
        for (var at = 0; at < bytes.Length; at++)
        {
            bytes[at] ^= 0x40;
            Assert.Null(StoredPrefix.Read(bytes));
            bytes[at] ^= 0x40;
        }

        Assert.Null(StoredPrefix.Read([.. bytes, 0]));
        Assert.NotNull(StoredPrefix.Read(bytes));
    }

    [Fact]
    public void FileName_TellsEverythingApart()
    {
        var names = new[]
        {
            Prefix(1), Prefix(2), Prefix(1) with { Identity = "other" }, Prefix(1) with { Key = new PrefixKey("tenan", "tadapters") },
            Prefix(1) with { Key = new PrefixKey("tenant", "other") }, Prefix(1) with { Tokens = [1, 2] },
        }.Select(prefix => prefix.FileName).ToList();

        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.DoesNotContain(names, name => name.Contains("tenant", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Save_BeyondTheLimit_RemovesTheLeastRecentlyUsed()
    {
        var prefixes = Enumerable.Range(0, 4).Select(i => Prefix(i, stateBytes: 10_000)).ToList();
        for (var i = 0; i < prefixes.Count; i++)
        {
            // Every file but the first is older than what follows; the first was used again just now.
            if (i > 0)
            {
                foreach (var (file, age) in prefixes[..i].Select((earlier, index) => (earlier.FileName, i - index)).Skip(1))
                    File.SetLastWriteTimeUtc(Path.Combine(_directory, file), DateTime.UtcNow - TimeSpan.FromMinutes(age));
            }

            await using var store = Store(maxBytes: 35_000);
            Assert.Equal(i > 0, store.Touch(prefixes[0].FileName));
            Assert.True(store.TrySave(prefixes[i]));
        }

        await using var last = Store(maxBytes: 35_000);
        Assert.Equal(
            ((int[])[0, 2, 3]).Select(i => prefixes[i].FileName).Order(), last.Load("identity").Select(prefix => prefix.FileName).Order());
        Assert.False(last.TrySave(Prefix(9, stateBytes: 40_000)));
    }

    [Fact]
    public async Task Load_RemovesBrokenAndRenamedFiles_AndLeavesOtherEnginesOnes()
    {
        await using (var store = Store())
        {
            store.TrySave(Prefix(1));
            store.TrySave(Prefix(2) with { Identity = "another" });
        }

        await File.WriteAllTextAsync(Path.Combine(_directory, "broken.prefix"), "FleetKV1 and then nothing", TestContext.Current.CancellationToken);
        File.Copy(Path.Combine(_directory, Prefix(1).FileName), Path.Combine(_directory, "renamed.prefix"));

        await using var second = Store();
        Assert.Equal(Prefix(1).FileName, Assert.Single(second.Load("identity")).FileName);
        Assert.Equal(2, Directory.GetFiles(_directory).Length);
    }

    [Fact]
    public async Task WithoutAFolder_NothingIsKept()
    {
        await using var store = new PrefixStore(Options.Create(new EngineOptions()), NullLogger<PrefixStore>.Instance);

        Assert.False(store.Enabled);
        Assert.False(store.TrySave(Prefix(1)));
        Assert.Empty(store.Load("identity"));
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    private PrefixStore Store(long maxBytes = 1 << 20) =>
        new(Options.Create(new EngineOptions { PrefixDirectory = _directory, PrefixDirectoryBytes = maxBytes }), NullLogger<PrefixStore>.Instance);

    private static StoredPrefix Prefix(int seed, int stateBytes = 100)
    {
        var state = new byte[stateBytes];
        new Random(seed).NextBytes(state);
        return new StoredPrefix("identity", new PrefixKey("tenant", "adapters"), [seed, 2, 3], state);
    }

    private static byte[] Bytes(StoredPrefix prefix)
    {
        using var stream = new MemoryStream();
        prefix.WriteTo(stream);
        return stream.ToArray();
    }
}
