using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class ParameterTableTests
{
    private static readonly RemoteModelOptions Model = new() { Id = "m" };

    private static readonly (string Name, ChatProtocol Protocol)[] Protocols =
    [
        ("OpenAi", new OpenAiProtocol(Model, extended: false)), ("OpenAi, extended", new OpenAiProtocol(Model, extended: true)),
        ("Anthropic", new AnthropicProtocol(Model)), ("Gemini", new GeminiProtocol(Model)), ("Ollama", new OllamaProtocol(Model)),
    ];

    [Fact]
    public void EveryTable_HasARuleForEverythingARequestCanAsk()
    {
        foreach (var (_, protocol) in Protocols)
        {
            Assert.Equal(Parameter.All.Select(parameter => parameter.Name).Order(), protocol.Rules.Keys.Order());
            Assert.All(Parameter.All.Where(parameter => protocol.Rules[parameter.Name].Handling == Handling.Sent), parameter => Assert.NotNull(parameter.Value));
        }
    }

    /// <summary>One request for each parameter: sent, dropped and named, or refused by its name, as the table says.</summary>
    [Fact]
    public void EveryParameter_IsHandledAsItsTableSays()
    {
        foreach (var parameter in Parameter.All)
        {
            var request = Asking[parameter.Name];
            Assert.True(parameter.IsAsked(request), parameter.Name);
            foreach (var (name, protocol) in Protocols)
            {
                var rule = protocol.Rules[parameter.Name];
                if (rule.Handling == Handling.Refused || parameter.Name == "continue_from" && name is "OpenAi" or "Anthropic" && parameter.Name == "continue_from")
                {
                    var exception = Assert.Throws<EngineException>(() => protocol.Adapt(request));
                    Assert.Equal((EngineError.NotSupported, true), (exception.Error, exception.Upstream));
                    Assert.StartsWith(parameter.Name, exception.Message, StringComparison.Ordinal);
                    continue;
                }

                var adapted = protocol.Adapt(request);
                Assert.Equal(rule.Handling == Handling.Dropped, adapted.Dropped.Contains(parameter.Name));
                foreach (var field in rule.Fields)
                    Assert.NotNull(field.Split('.').Aggregate((System.Text.Json.Nodes.JsonNode?)adapted.Body, (node, step) => node?[step]));
            }
        }
    }

    [Fact]
    public void ADefaultRequest_DropsNothingAnybodyAskedFor() =>
        Assert.All(Protocols, entry => Assert.Empty(entry.Protocol.Adapt(FakeUpstream.Hello).Dropped));

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    public void SchemasThatAreNone_AreInvalid(string schema)
    {
        foreach (var (_, protocol) in Protocols)
        {
            Assert.Equal(EngineError.InvalidRequest, Assert.Throws<EngineException>(() => protocol.Adapt(FakeUpstream.Hello with { Tools = [new Tool("a", "", schema, false)] })).Error);
            Assert.Equal(EngineError.InvalidRequest, Assert.Throws<EngineException>(() => protocol.Adapt(FakeUpstream.Hello with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, schema) })).Error);
        }
    }

    /// <summary>The page people read is made of the tables; when this fails, put the expected text there.</summary>
    [Fact]
    public void TheDocumentedTable_IsThisOne()
    {
        var table = new StringBuilder("| parameter | ").AppendJoin(" | ", Protocols.Select(entry => entry.Name)).Append(" |\n|---|").AppendJoin("|", Protocols.Select(_ => "---")).Append("|\n");
        foreach (var parameter in Parameter.All)
            table.Append($"| {parameter.Name} | ").AppendJoin(" | ", Protocols.Select(entry => entry.Protocol.Rules[parameter.Name].ToString())).Append(" |\n");

        var page = File.ReadAllText(Path.Combine(Repository(), "services/inference/Engine/Providers/README.md"));

        Assert.True(page.Contains(table.ToString(), StringComparison.Ordinal), "services/inference/Engine/Providers/README.md should hold:\n" + table);
    }

    private static Dictionary<string, GenerationRequest> Asking { get; } = new()
    {
        ["messages"] = Hello(request => request),
        ["max_tokens"] = Hello(request => request with { MaxTokens = 5 }),
        ["temperature"] = Sampling(new SamplingParameters { Temperature = 0.3f }),
        ["top_p"] = Sampling(new SamplingParameters { TopP = 0.3f }),
        ["top_k"] = Sampling(new SamplingParameters { TopK = 5 }),
        ["min_p"] = Sampling(new SamplingParameters { MinP = 0.3f }),
        ["typical_p"] = Sampling(new SamplingParameters { TypicalP = 0.3f }),
        ["repetition_penalty"] = Sampling(new SamplingParameters { RepetitionPenalty = 1.3f }),
        ["frequency_penalty"] = Sampling(new SamplingParameters { FrequencyPenalty = 0.3f }),
        ["presence_penalty"] = Sampling(new SamplingParameters { PresencePenalty = 0.3f }),
        ["penalty_last_n"] = Sampling(new SamplingParameters { PenaltyLastN = 5 }),
        ["mirostat"] = Sampling(new SamplingParameters { Mirostat = 2 }),
        ["mirostat_tau"] = Sampling(new SamplingParameters { Mirostat = 2, MirostatTau = 3 }),
        ["mirostat_eta"] = Sampling(new SamplingParameters { Mirostat = 2, MirostatEta = 0.3f }),
        ["dry"] = Sampling(new SamplingParameters { Dry = new DryParameters(1, 1.75f, 2, -1, []) }),
        ["xtc"] = Sampling(new SamplingParameters { Xtc = new XtcParameters(0.5f, 0.1f) }),
        ["seed"] = Sampling(new SamplingParameters { Seed = 7 }),
        ["logit_bias"] = Sampling(new SamplingParameters { LogitBias = new Dictionary<int, float> { [5] = 1 } }),
        ["stop"] = Hello(request => request with { Stop = ["x"] }),
        ["logprobs"] = Hello(request => request with { Logprobs = true }),
        ["response_format: json_object"] = Hello(request => request with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonObject) }),
        ["response_format: json_schema"] = Hello(request => request with { ResponseFormat = new ResponseFormat(ResponseFormatKind.JsonSchema, """{"type":"object"}""") }),
        ["response_format: grammar"] = Hello(request => request with { ResponseFormat = new ResponseFormat(ResponseFormatKind.Grammar, "root ::= \"x\"") }),
        ["tools"] = Hello(request => request with { Tools = [Tool(strict: false)] }),
        ["tools: strict"] = Hello(request => request with { Tools = [Tool(strict: true)] }),
        ["tool_choice: none"] = Hello(request => request with { Tools = [Tool(strict: false)], ToolChoice = new ToolChoice(ToolChoiceMode.None) }),
        ["tool_choice: required"] = Hello(request => request with { Tools = [Tool(strict: false)], ToolChoice = new ToolChoice(ToolChoiceMode.Required) }),
        ["parallel_tool_calls"] = Hello(request => request with { Tools = [Tool(strict: false)], ParallelToolCalls = true }),
        ["reasoning"] = Hello(request => request with { Reasoning = new ReasoningOptions(Effort: "low") }),
        ["continue_from"] = Hello(request => request with { ContinueFrom = "so far" }),
        ["prompt"] = Hello(request => request with { Messages = [], Prompt = "once" }),
        ["prompt_tokens"] = Hello(request => request with { Messages = [], PromptTokens = [1] }),
        ["template_arguments"] = Hello(request => request with { TemplateArguments = new Dictionary<string, string> { ["a"] = "1" } }),
        ["adapters"] = Hello(request => request with { Adapters = [new AdapterChoice("a", 1)] }),
        ["ignore_end"] = Hello(request => request with { IgnoreEnd = true }),
        ["bypass_prefix_cache"] = Hello(request => request with { BypassPrefixCache = true }),
    };

    private static GenerationRequest Hello(Func<GenerationRequest, GenerationRequest> change) => change(FakeUpstream.Hello);

    private static GenerationRequest Sampling(SamplingParameters sampling) => FakeUpstream.Hello with { Sampling = sampling };

    private static Tool Tool(bool strict) => new("a", "d", "", strict);

    private static string Repository()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "Fleet.sln")))
            directory = directory.Parent;
        return directory.FullName;
    }
}
