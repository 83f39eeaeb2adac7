using System.Diagnostics;
using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Engine.Constraints;
using Fleet.Inference.Native;
using Fleet.Inference.Native.Shim;
using Fleet.Inference.Tests.Engine.Chat;
using Fleet.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Tests.Native.Shim;

[Collection(nameof(ChatTests))]
public sealed class ChatShimTests(ChatFixture chat)
{
    [Fact]
    public void AbsentShim_IsNoFailure()
    {
        chat.RequireShim();

        var shim = new ChatShim(chat.Libraries, Options.Create(new NativeOptions { ShimFile = "/nowhere/libfleet-shim.so" }), NullLogger<ChatShim>.Instance);

        Assert.Contains("./fleet doctor", shim.Unavailable, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ShimOfAnotherRelease_IsRefused()
    {
        chat.RequireShim();
        var compiler = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, "gcc")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(compiler is null, "gcc is not installed.");
        var folder = Directory.CreateTempSubdirectory("fleet-shim-");
        try
        {
            var source = Path.Combine(folder.FullName, "other.c");
            var library = Path.Combine(folder.FullName, "other.so");
            await File.WriteAllTextAsync(
                source, "const char * fleet_shim_release(void) { return \"0.4.9\"; } int fleet_shim_interface(void) { return 1; }", TestContext.Current.CancellationToken);
            using var process = Process.Start(compiler!, ["-shared", "-fPIC", "-o", library, source]);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);

            Assert.Contains("0.4.9", ChatShim.WhyNot(library), StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,"maximum":120}},"required":["name","age"]}""", """{"name": "Ann", "age": 7}""", """{"name": "Ann", "age": 121}""")]
    [InlineData("""{"enum":["red","green"]}""", "\"red\"", "\"blue\"")]
    [InlineData("""{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}""", "[true, false]", "[]")]
    [InlineData("""{"anyOf":[{"type":"null"},{"$ref":"#/$defs/n"}],"$defs":{"n":{"const":5}}}""", "5", "6")]
    [InlineData("""{"type":"string","pattern":"^[a-c]{2}$"}""", "\"ab\"", "\"ad\"")]
    public void Schema_BecomesAGrammarThatAcceptsWhatFits(string schema, string fits, string doesNot)
    {
        chat.RequireShim();
        var gbnf = ChatShim.SchemaToGrammar(schema);

        Assert.True(Accepts(gbnf, fits), gbnf);
        Assert.False(Accepts(gbnf, doesNot), gbnf);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("")]
    [InlineData("""{"type":"nope"}""")]
    [InlineData("""{"$ref":"#/$defs/absent"}""")]
    [InlineData("{\"type\":\"str\u0000ing\"}")]
    public void BadSchema_SaysWhy(string schema)
    {
        chat.RequireShim();

        var refusal = Assert.Throws<LlamaException>(() => ChatShim.SchemaToGrammar(schema));

        Assert.NotEmpty(refusal.Message);
    }

    [Theory]
    [InlineData("{% for %}")]
    [InlineData("{{ ")]
    [InlineData("{% if x %}")]
    [InlineData("{{ messages | nofilter }}")]
    [InlineData("{{ messages[0].content.nothing.at_all() }}")]
    [InlineData("{{ raise_exception('no ' ~ messages | length) }}")]
    [InlineData("{{ 1 // 0 }}{{ 1 % 0 }}")]
    [InlineData("{{ 'x' * 3 }}{{ messages + 1 }}")]
    public void BrokenTemplate_IsAnErrorOrAPrompt(string source)
    {
        chat.RequireShim();
        try
        {
            using var format = chat.Format(source);
            format.Prepare(Ask("hello"));
        }
        catch (Exception exception) when (exception is LlamaException or EngineException)
        {
            Assert.NotEmpty(exception.Message);
        }
    }

    [Fact]
    public void TemplateThatWouldFillTheStack_IsRefusedBeforeItIsParsed()
    {
        chat.RequireShim();
        string[] bombs =
        [
            $"{{{{ {new string('(', 100_000)}1{new string(')', 100_000)} }}}}",
            $"{{{{ {new string('[', 100_000)}{new string(']', 100_000)} }}}}",
            string.Concat(Enumerable.Repeat("{% if 1 %}", 20_000)) + string.Concat(Enumerable.Repeat("{% endif %}", 20_000)),
            "{% if 1 %}" + string.Concat(Enumerable.Repeat("{%- elif 1 %}", 20_000)) + "{% endif %}",
            "{{ 1" + string.Concat(Enumerable.Repeat("+1", 50_000)) + " }}",
            "{{ " + string.Concat(Enumerable.Repeat("not ", 50_000)) + "1 }}",
            new('x', 2_000_000),
        ];

        foreach (var bomb in bombs)
            Assert.Contains("not parsed", Assert.Throws<LlamaException>(() => SafeChatTemplates.Parse(bomb, "", "")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MegabyteOfText_PassesThrough()
    {
        chat.RequireShim();
        using var templates = SafeChatTemplates.Parse(LlamaModel.ChatTemplate, "<s>", "</s>");
        var text = string.Concat(Enumerable.Repeat("0123456789<|im_e ", 65536));

        var rendered = templates.Render(ChatTemplateRequest.Write(Ask(text), [], "", UserTextForm.AsIs, promptOnly: false), withReader: true);
        using var reader = rendered.Reader;

        Assert.Contains(text, rendered.Prompt, StringComparison.Ordinal);
        Assert.Equal(text, reader!.Read(Encoding.UTF8.GetBytes(text), partial: false)!.Content);
    }

    [Fact]
    public void HostileBytes_AreSurvived()
    {
        chat.RequireShim();
        using var templates = SafeChatTemplates.Parse(LlamaModel.ChatTemplate, "<s>", "</s>");
        var rendered = templates.Render(ChatTemplateRequest.Write(Ask("a\0b\uD800c\u202E"), [], "", UserTextForm.AsIs, promptOnly: false), withReader: true);
        using var reader = rendered.Reader!;
        Assert.Contains("a\0b", rendered.Prompt, StringComparison.Ordinal);

        var random = new Random(7);
        var bytes = new byte[200];
        for (var i = 0; i < 500; i++)
        {
            random.NextBytes(bytes);
            reader.Read(bytes.AsSpan(0, random.Next(bytes.Length)), partial: i % 2 == 0);
        }
    }

    [Fact]
    public void EveryRequestTheNativeSideRefuses_IsAnException()
    {
        chat.RequireShim();
        using var templates = SafeChatTemplates.Parse(LlamaModel.ChatTemplate, "<s>", "</s>");
        foreach (var request in (string[])["", "{", "[]", "{}", """{"messages":1}""", """{"messages":[1]}""", """{"messages":[{"role":"user"}]}""", """{"messages":[],"tools":5}""", """{"messages":[],"json_schema":"{"}"""])
            Assert.Throws<LlamaException>(() => templates.Render(request, withReader: true));
    }

    private static GenerationRequest Ask(string text) => new() { RequestId = "r", Messages = [new ChatMessage(ChatRole.User, text)] };

    private bool Accepts(string gbnf, string text)
    {
        using var constraint = new ConstraintFactory(chat.Vocabulary).Create(new GrammarSpec { Gbnf = gbnf });
        foreach (var token in chat.Model.Tokenize(Encoding.UTF8.GetBytes("\n" + text), addSpecial: false, parseSpecial: false).Skip(chat.Model.Tokenize("\n"u8, addSpecial: false, parseSpecial: false).Length))
        {
            if (!constraint.Allows(token))
                return false;
            constraint.Accept(token);
        }

        return constraint.Allows(LlamaModel.EndTokens[0]);
    }
}
