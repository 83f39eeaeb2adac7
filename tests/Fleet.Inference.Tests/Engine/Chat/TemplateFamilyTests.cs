using System.Text.Json;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Chat;
using Fleet.Inference.Native.Shim;

namespace Fleet.Inference.Tests.Engine.Chat;

/// <summary>Every family llama.cpp has a template of: its replies are read, whole and in pieces.</summary>
[Collection(nameof(ChatTests))]
public sealed class TemplateFamilyTests(ChatFixture chat)
{
    private const string Answer = "Hello, world.\nWhat's up?";

    private static readonly Tool Weather = new(
        "get_weather", "The weather of a city", """{"type":"object","properties":{"city":{"type":"string","description":"The city"}},"required":["city"]}""", Strict: true);

    public static TheoryData<TemplateFamily> Families => [.. TemplateFamily.All];

    public static TheoryData<TemplateFamily> Thinking => [.. TemplateFamily.All.Where(family => family.Thought is not null)];

    public static TheoryData<TemplateFamily> Calling => [.. TemplateFamily.All.Where(family => family.Call is not null)];

    [Fact]
    public void EveryTemplateOfTheSource_IsTried()
    {
        chat.RequireTemplates();

        Assert.Equal(chat.TemplateNames.Order(StringComparer.Ordinal), TemplateFamily.All.Select(family => family.Template).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void PlainReply_IsContent(TemplateFamily family)
    {
        var reply = Read(family, [], family.Opening + Answer);

        Assert.Equal(Answer, reply.Content.Trim());
        Assert.Empty(reply.Calls);
        // One family's template begins the thought itself.
        Assert.True(reply.Reasoning.Trim().Length == 0 || family.Template.StartsWith("Apriel-1.6", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Thinking))]
    public void Thought_IsReasoning(TemplateFamily family)
    {
        var reply = Read(family, [], family.Thought + Answer);

        Assert.Equal(Answer, reply.Content.Trim());
        Assert.EndsWith("I think", reply.Reasoning.Trim(), StringComparison.Ordinal);
        Assert.Empty(reply.Calls);
    }

    [Theory]
    [MemberData(nameof(Calling))]
    public void Call_IsAToolCall(TemplateFamily family)
    {
        var reply = Read(family, [Weather], family.Call!);

        var call = Assert.Single(reply.Calls);
        Assert.Equal("get_weather", call.Name);
        Assert.Equal("Paris", JsonDocument.Parse(call.Arguments).RootElement.GetProperty("city").GetString());
        Assert.NotEmpty(call.Id);
        Assert.Empty(reply.Content.Trim());
    }

    [Theory]
    [MemberData(nameof(Calling))]
    public void CutCall_IsGivenAsFarAsItGoes(TemplateFamily family)
    {
        foreach (var part in (double[])[0.3, 0.6, 0.9])
        {
            var reply = Read(family, [Weather], family.Call![..(int)(family.Call!.Length * part)], complete: false);

            Assert.True(reply.Calls.Count <= 1);
            Assert.All(reply.Calls, call => Assert.Equal("get_weather", call.Name));
        }
    }

    /// <summary>The reply as one text, and character by character: both must say the same.</summary>
    private ReadMessage Read(TemplateFamily family, IReadOnlyList<Tool> tools, string reply, bool complete = true)
    {
        chat.RequireTemplates();
        using var templates = SafeChatTemplates.Parse(chat.Source(family.Template), "<s>", "</s>");
        var request = new GenerationRequest { RequestId = "r", Messages = [new ChatMessage(ChatRole.User, "Weather in Paris?")], Tools = tools };
        var json = ChatTemplateRequest.Write(request, tools, schema: "", UserTextForm.AsIs, promptOnly: false);

        var whole = new ReadMessage();
        whole.Add(Parser(), [reply], complete);
        var streamed = new ReadMessage();
        streamed.Add(Parser(), reply.Select(character => character.ToString()), complete);

        Assert.Equal(whole.Content.TrimEnd(), streamed.Content.TrimEnd());
        Assert.Equal(whole.Reasoning.TrimEnd(), streamed.Reasoning.TrimEnd());
        Assert.Equal(whole.Calls.Select(call => (call.Name, call.Arguments)), streamed.Calls.Select(call => (call.Name, call.Arguments)));
        return streamed;

        TemplateReplyParser Parser()
        {
            var rendered = templates.Render(json, withReader: true);
            return new TemplateReplyParser(rendered.Reader!, rendered.Delimiters);
        }
    }
}

/// <summary>Puts a reply together the way clients do: by index, fragment after fragment.</summary>
internal sealed class ReadMessage
{
    public string Content { get; private set; } = "";

    public string Reasoning { get; private set; } = "";

    public List<ToolCall> Calls { get; } = [];

    public int Deltas { get; private set; }

    public void Add(IReplyParser parser, IEnumerable<string> pieces, bool complete)
    {
        foreach (var piece in pieces)
            Add(parser.Append(piece));
        Add(parser.Finish(complete));
        Assert.Equal(Calls.Count > 0, parser.HasToolCalls);
    }

    public void Add(ParsedDelta delta)
    {
        Content += delta.Content;
        Reasoning += delta.Reasoning;
        Deltas += delta == ParsedDelta.Empty ? 0 : 1;
        foreach (var (index, id, name, arguments) in delta.ToolCalls)
        {
            if (index == Calls.Count)
            {
                // The first of an index names the call.
                Assert.NotEmpty(id);
                Assert.NotEmpty(name);
                Calls.Add(new ToolCall(id, name, arguments));
            }
            else
            {
                Assert.InRange(index, 0, Calls.Count - 1);
                Assert.Empty(id);
                Calls[index] = Calls[index] with { Arguments = Calls[index].Arguments + arguments };
            }
        }
    }
}
