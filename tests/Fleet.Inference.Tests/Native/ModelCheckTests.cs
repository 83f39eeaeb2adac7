using System.Diagnostics;
using System.Text;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Native;

[Collection(nameof(NativeTests))]
public sealed class ModelCheckTests : IDisposable
{
    private readonly NativeFixture _native;
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-check-").FullName;

    public ModelCheckTests(NativeFixture native)
    {
        _native = native;
        native.RequireLibraries();
    }

    [Theory]
    [InlineData("tiny-llama")]
    [InlineData("tiny-bert")]
    public void Require_GoodFile_PassesAndIsRememberedBesideIt(string model)
    {
        var path = Save(File.ReadAllBytes(_native.PathOf(model)));

        Check().Require(path, CancellationToken.None);

        Assert.Contains("\"Problem\":\"\"", File.ReadAllText(Path.Combine(_directory, ".checks", "model.gguf.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void Require_FileThatPassesEveryCheckAndEndsTheLibrary_IsRefusedAndTheProcessLives()
    {
        // Without its byte tokens a SentencePiece vocabulary throws a C++ exception at the first unknown character: the process would end.
        var path = Save(Without(LlamaModel.Tiny.ToArray(), "<0x", "<1x"));
        GgufValidator.Validate(GgufReader.Read(path, full: true));

        var first = Assert.Throws<GgufException>(() => Check().Require(path, CancellationToken.None));
        var started = Stopwatch.GetTimestamp();
        var second = Assert.Throws<GgufException>(() => Check(options => options.Timeout = TimeSpan.Zero).Require(path, CancellationToken.None));

        Assert.Contains("crashes llama.cpp", first.Message, StringComparison.Ordinal);
        // Remembered: with no time at all a process would have been given up.
        Assert.Equal(first.Message, second.Message);
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Require_WrongShapes_SaysWhatTheLibrarySays()
    {
        var file = LlamaModel.Tiny.Build().Set("llama.attention.key_length", 48u).ToArray();

        var exception = Assert.Throws<GgufException>(() => Check().Require(Save(file), CancellationToken.None));

        Assert.DoesNotContain("crashes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Require_NoTime_IsRefusedButNotForEverWhenTheFileChanges()
    {
        var path = Save(LlamaModel.Tiny.ToArray());
        Assert.Contains("longer than", Assert.Throws<GgufException>(() => Check(options => options.Timeout = TimeSpan.Zero).Require(path, CancellationToken.None)).Message, StringComparison.Ordinal);

        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(-5));

        Check().Require(path, CancellationToken.None);
    }

    /// <summary>A few damaged headers on every run, FLEET_FUZZ of them by hand: whatever C# lets through, this process survives.</summary>
    [Fact]
    public void Require_DamagedHeaders_NeverDoMoreThanRefuse()
    {
        var tiny = LlamaModel.Tiny.ToArray();
        var wanted = int.TryParse(Environment.GetEnvironmentVariable("FLEET_FUZZ"), out var count) ? count : 3;
        var (tried, refused, crashed) = (0, 0, 0);
        for (var seed = 0; tried < wanted && seed < wanted * 200; seed++)
        {
            var random = new Random(seed);
            var bytes = tiny.ToArray();
            for (var i = 0; i < 2; i++)
                bytes[random.Next(24, 12_000)] = (byte)random.Next(256);
            var path = Save(bytes);
            try
            {
                GgufValidator.Validate(GgufReader.Read(path, full: true));
            }
            catch (GgufException)
            {
                continue;
            }

            tried++;
            try
            {
                Check().Require(path, CancellationToken.None);
            }
            catch (GgufException exception)
            {
                refused++;
                crashed += exception.Message.Contains("crashes", StringComparison.Ordinal) ? 1 : 0;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{tried} passed C#, the other process refused {refused}, {crashed} of them by dying");
        Assert.Equal(wanted, tried);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private ModelCheck Check(Action<ModelCheckOptions>? configure = null)
    {
        var options = new ModelCheckOptions();
        configure?.Invoke(options);
        return new ModelCheck(_native.Libraries, Options.Create(options), Options.Create(new NativeOptions()), NullLogger<ModelCheck>.Instance);
    }

    private string Save(byte[] file)
    {
        var path = Path.Combine(_directory, "model.gguf");
        File.WriteAllBytes(path, file);
        return path;
    }

    private static byte[] Without(byte[] file, string text, string replacement)
    {
        var (from, to) = (Encoding.ASCII.GetBytes(text), Encoding.ASCII.GetBytes(replacement));
        for (var at = 0; file.AsSpan(at).IndexOf(from) is >= 0 and var next; at += next + from.Length)
            to.CopyTo(file, at + next);
        return file;
    }
}
