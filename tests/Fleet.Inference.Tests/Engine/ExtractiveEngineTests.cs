using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Extractive;

namespace Fleet.Inference.Tests.Engine;

public sealed class ExtractiveEngineTests
{
    private const string Handbook = """
        # Employee handbook

        ## Vacation
        Every employee gets 25 vacation days a year. Unused days expire on 31 March of the next year.

        ## Expenses
        - Travel expenses are approved by the head of the department.
        - Receipts are needed for amounts over 30 EUR, e.g. for hotels.

        | Office | Floor |
        |--------|-------|
        | Busan | 12 |
        | Seoul | 7 |
        """;

    private const string Manual = """
        # 사용 설명서

        ## 보증
        제품 보증 기간은 2년입니다. 소모품은 보증 대상에서 제외됩니다.

        ## 업로드
        한 번에 올릴 수 있는 파일은 최대 20MB입니다. 지원 형식은 PDF와 DOCX입니다.

        ```bash
        ./fleet ingest ./문서
        ```
        """;

    [Fact]
    public async Task Answer_EnglishQuestion_QuotesTheSentenceWithItsNumber()
    {
        var answer = await AskAsync("How many vacation days do I get per year?", Manual, Handbook);

        Assert.StartsWith("No language model is installed", answer, StringComparison.Ordinal);
        Assert.Contains("> Every employee gets 25 vacation days a year. [2]", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("보증", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_KoreanQuestion_AnswersInKoreanWithQuotation()
    {
        var answer = await AskAsync("보증 기간은 얼마인가요?", Manual, Handbook);

        Assert.StartsWith("설치된 언어 모델이 없어", answer, StringComparison.Ordinal);
        Assert.Contains("> 제품 보증 기간은 2년입니다. [1]", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("vacation", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_FactInTableRow_QuotesTheRow()
    {
        var answer = await AskAsync("On which floor is the Busan office?", Handbook);

        Assert.Contains("> Busan | 12 [1]", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_NothingFits_SaysSoInTheQuestionsLanguage()
    {
        Assert.StartsWith("The documents do not seem to hold", await AskAsync("What is the boiling point of tungsten?", Handbook), StringComparison.Ordinal);
        Assert.StartsWith("문서에서 이 질문의 답을 찾지 못했습니다", await AskAsync("달의 지름은 몇 킬로미터인가요?", Manual), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_NoPassages_SaysHowToAddDocumentsOrAModel()
    {
        var answer = await AskAsync("Who wrote Hamlet?");

        Assert.Contains("no documents", answer, StringComparison.Ordinal);
        Assert.Contains("./fleet models pull", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_SummaryAsked_QuotesOpenings()
    {
        Assert.Contains("제품 보증 기간은 2년입니다. [1]", await AskAsync("이 문서를 요약해줘", Manual), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_RepeatedSentence_IsQuotedOnce()
    {
        var answer = await AskAsync("How many vacation days?", "Every employee gets 25 vacation days a year.", "Every employee gets 25 vacation days each year.");

        Assert.Equal(1, answer.Split("> ").Length - 1);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Answer_EveryPair_QuotesTheRightSentenceFirst(string language)
    {
        var pairs = language == "ko" ? QuestionPairs.Korean : QuestionPairs.English;
        string[] passages = [.. pairs.Chunk(4).Select(chunk => string.Join(' ', chunk.Select(pair => pair.Sentence)))];
        var missed = new List<string>();
        foreach (var (question, sentence) in pairs)
        {
            var answer = await AskAsync(question, passages);
            if (answer.Split("\n\n> ").ElementAtOrDefault(1)?.StartsWith(sentence, StringComparison.Ordinal) != true)
                missed.Add($"{question} -> {answer.Split("\n\n> ").ElementAtOrDefault(1) ?? "nothing"}");
        }

        Assert.True(missed.Count <= pairs.Length * 0.15, string.Join('\n', missed));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Answer_TheRightSentenceIsMissing_MostlySaysThatNothingWasFound(string language)
    {
        var pairs = language == "ko" ? QuestionPairs.Korean : QuestionPairs.English;
        var quoted = new List<string>();
        foreach (var (question, sentence) in pairs)
        {
            var answer = await AskAsync(question, [.. pairs.Select(pair => pair.Sentence).Where(other => other != sentence)]);
            if (answer.Contains("> ", StringComparison.Ordinal))
                quoted.Add($"{question} -> {answer.Split("\n\n> ").ElementAtOrDefault(1)}");
        }

        Assert.True(quoted.Count <= pairs.Length * 0.2, string.Join('\n', quoted));
    }

    public static TheoryData<string> Pairs => ["en", "ko"];

    [Fact]
    public async Task Stream_IsWordByWordAndDeterministic()
    {
        var request = Request("How many vacation days do I get?", Handbook);

        var first = await CollectAsync(request);
        var second = await CollectAsync(request);

        Assert.Equal(Text(first), Text(second));
        Assert.True(first.OfType<GenerationDelta>().Count() > 10);
        Assert.IsType<GenerationStarted>(first[0]);
        Assert.Equal(FinishReason.Stop, Assert.IsType<GenerationFinished>(first[^1]).Reason);
    }

    [Fact]
    public async Task MaxTokens_CutsAndSaysLength()
    {
        var events = await CollectAsync(Request("How many vacation days do I get?", Handbook) with { MaxTokens = 5 });

        var finished = Assert.IsType<GenerationFinished>(events[^1]);
        Assert.Equal(FinishReason.Length, finished.Reason);
        Assert.InRange(finished.CompletionTokens, 1, 5);
    }

    [Fact]
    public async Task StopSequence_EndsBeforeIt()
    {
        var events = await CollectAsync(Request("How many vacation days do I get?", Handbook) with { Stop = ["quotations"] });

        Assert.Equal("No language model is installed, so these are ", Text(events));
    }

    [Fact]
    public async Task ContinueFrom_YieldsTheRest()
    {
        var request = Request("보증 기간은?", Manual);
        var whole = Text(await CollectAsync(request));

        var rest = Text(await CollectAsync(request with { ContinueFrom = whole[..17] }));

        Assert.Equal(whole[17..], rest);
    }

    private static async Task<string> AskAsync(string question, params string[] passages) => Text(await CollectAsync(Request(question, passages)));

    private static GenerationRequest Request(string question, params string[] passages) => new()
    {
        RequestId = "r",
        Messages = [new ChatMessage(ChatRole.User, question)],
        Passages = [.. passages.Select((text, index) => new Passage(index + 1, "", text, 1))],
    };

    private static async Task<List<GenerationEvent>> CollectAsync(GenerationRequest request)
    {
        await using var engine = new ExtractiveEngine(TimeProvider.System);
        return await engine.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync();
    }

    private static string Text(IEnumerable<GenerationEvent> events) =>
        events.OfType<GenerationDelta>().Aggregate(new StringBuilder(), (text, delta) => text.Append(delta.Text)).ToString();
}
