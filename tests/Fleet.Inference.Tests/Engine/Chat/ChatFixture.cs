using System.Text.RegularExpressions;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Engine.Chat;

/// <summary>
/// The chat shim, llama.cpp's own template files (read from the source that ./fleet test provides) and a vocabulary in which whatever looks
/// like a marker in any of them is a control token.
/// </summary>
public sealed partial class ChatFixture : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fleet-chat-").FullName;
    private readonly string _templates;
    private readonly Lazy<(SafeLlamaModel Model, LlamaVocabulary Vocabulary)> _model;

    public ChatFixture()
    {
        var options = Options.Create(new NativeOptions());
        Libraries = new NativeLibraries(options, NullLogger<NativeLibraries>.Instance);
        Shim = new ChatShim(Libraries, options, NullLogger<ChatShim>.Instance);
        var version = Path.GetFileName(options.Value.NativeLibraryDirectory).Split('-')[^1];
        _templates = Path.Combine(options.Value.NativeLibraryDirectory, "..", $"source-{version}", "models", "templates");
        _model = new(Load);
    }

    internal NativeLibraries Libraries { get; }

    internal ChatShim Shim { get; }

    internal SafeLlamaModel Model => _model.Value.Model;

    internal LlamaVocabulary Vocabulary => _model.Value.Vocabulary;

    public IReadOnlyList<string> TemplateNames =>
        Directory.Exists(_templates) ? [.. Directory.GetFiles(_templates, "*.jinja").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)] : [];

    /// <summary>Skips without the libraries; a compiled shim that cannot be used is a failure.</summary>
    public void RequireShim()
    {
        var options = new NativeOptions();
        Assert.SkipUnless(Directory.Exists(options.NativeLibraryDirectory), $"llama.cpp is not installed in {options.NativeLibraryDirectory}; ./fleet test installs it.");
        Assert.SkipUnless(File.Exists(ChatShim.FileOf(options)), $"{ChatShim.FileOf(options)} is not compiled; ./fleet test does it where g++ is or can be installed.");
        Assert.Null(Shim.Unavailable);
    }

    public void RequireTemplates()
    {
        RequireShim();
        Assert.SkipUnless(Directory.Exists(_templates), $"llama.cpp's source is not in {_templates}; ./fleet test fetches it.");
    }

    public string Source(string template) => File.ReadAllText(Path.Combine(_templates, template + ".jinja"));

    internal JinjaPromptFormat Format(string source) => new(Vocabulary, SafeChatTemplates.Parse(source, "<s>", "</s>"), ChatShim.SchemaToGrammar);

    /// <summary>What in a text looks like a control token.</summary>
    public static IReadOnlyList<string> MarkersIn(string text) => [.. Markers().Matches(text).Select(match => match.Value).Distinct(StringComparer.Ordinal)];

    public void Dispose()
    {
        if (_model.IsValueCreated)
            _model.Value.Model.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private (SafeLlamaModel, LlamaVocabulary) Load()
    {
        var markers = TemplateNames.SelectMany(name => MarkersIn(Source(name)));
        var path = Path.Combine(_directory, "vocabulary.gguf");
        (LlamaModel.Tiny with { ControlTokens = [.. markers, .. BuiltInMarkers()] }).Save(path);
        var model = SafeLlamaModel.Load(path, gpuLayers: 0, new Progress<float>(), CancellationToken.None);
        return (model, new LlamaVocabulary(model, model.ChatTemplate));
    }

    // The built-in formats have no source to look into: what they write around a message shows their markers.
    private static IEnumerable<string> BuiltInMarkers() => BuiltInFormats.Names.SelectMany(name => MarkersIn(
        SafeLlamaModel.ApplyTemplate(name, [("system", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")]) ?? ""));

    [GeneratedRegex(@"<\|[^|<>\s""']{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?[A-Za-z_][\w:-]{0,30}>|\[/?[A-Z_]{2,30}\]|\[e~\[|\]~b\]|<<SYS>>|<</SYS>>")]
    private static partial Regex Markers();
}

/// <summary>Tests that need the shim share one fixture, and the process's one library with the tests of it.</summary>
[CollectionDefinition(nameof(ChatTests))]
public sealed class ChatTests : ICollectionFixture<ChatFixture>;
