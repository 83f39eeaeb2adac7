using Fleet.Chat.Clients;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;

namespace Fleet.Chat.Tests.Runs;

public sealed class PromptBuilderTests
{
    // A token per character keeps the arithmetic readable; every message costs 8 more.
    private static readonly PromptBuilder Builder = new((text, _) => ValueTask.FromResult(text.Length));

    private static Message MessageOf(MessageRole role, string content) => new()
    {
        Id = Guid.NewGuid(),
        SessionId = Guid.Empty,
        Role = role,
        Content = content,
        Status = MessageStatus.Complete,
        CreatedAt = DateTimeOffset.UnixEpoch,
    };

    private static Citation PassageOf(int number, int length) => new(number, "d", "c", "k", "t", 0, 0, length, new string('p', length), 1);

    [Fact]
    public async Task Everything_that_fits_is_taken_and_nothing_is_said()
    {
        var prompt = await Builder.BuildAsync("system", [], [MessageOf(MessageRole.User, "q"), MessageOf(MessageRole.Assistant, "a")], "now", 1000, default);

        Assert.Equal(["system", "q", "a", "now"], prompt.Messages.Select(m => m.Content));
        Assert.Empty(prompt.Notices);
    }

    [Fact]
    public async Task History_is_cut_from_the_oldest_and_the_cut_is_counted()
    {
        var history = Enumerable.Range(0, 10).Select(i => MessageOf(i % 2 == 0 ? MessageRole.User : MessageRole.Assistant, $"message {i}")).ToList();

        var prompt = await Builder.BuildAsync(null, [], history, "now", 11 + (3 * 17), default);

        Assert.Equal(["message 7", "message 8", "message 9", "now"], prompt.Messages.Select(m => m.Content));
        var notice = Assert.Single(prompt.Notices);
        Assert.Equal(("history-truncated", 7), (notice.Code, notice.Count));
    }

    [Fact]
    public async Task Passages_take_half_of_the_budget_at_most_best_first()
    {
        var prompt = await Builder.BuildAsync(null, [PassageOf(1, 200), PassageOf(2, 200), PassageOf(3, 200)], [], "now", 1500, default);

        Assert.Equal([1, 2], prompt.Passages.Select(p => p.Number));
        Assert.Equal(("passages-truncated", 1), (prompt.Notices[0].Code, prompt.Notices[0].Count));
        Assert.Contains("[2] t\n", prompt.Messages[0].Content, StringComparison.Ordinal);
        Assert.DoesNotContain("[3]", prompt.Messages[0].Content[300..], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(50)]
    [InlineData(400)]
    [InlineData(3000)]
    public async Task The_prompt_never_exceeds_its_budget(int budget)
    {
        var history = Enumerable.Range(0, 30).Select(i => MessageOf(MessageRole.User, new string('h', i * 7))).ToList();

        var prompt = await Builder.BuildAsync("be kind", [PassageOf(1, 90), PassageOf(2, 500)], history, "now", budget, default);

        Assert.True(prompt.Messages.Sum(m => m.Content.Length + 8) <= budget + 64, "more than the budget");
        Assert.Equal("now", prompt.Messages[^1].Content);
    }

    [Fact]
    public async Task A_question_that_does_not_fit_is_refused_not_cut()
    {
        var failure = await Assert.ThrowsAsync<GenerationException>(() => Builder.BuildAsync(null, [], [], new string('q', 200), 100, default));

        Assert.Equal("prompt-too-long", failure.Type);
    }

    [Theory]
    [InlineData("plain [1] and [3].", new[] { 1, 3 })]
    [InlineData("grouped [2, 1] and again [1]", new[] { 2, 1 })]
    [InlineData("unknown [9], [0], [x], [1", new int[0])]
    public void Citations_are_found_once_however_the_text_is_cut(string text, int[] expected)
    {
        var whole = new CitationReader([PassageOf(1, 1), PassageOf(2, 1), PassageOf(3, 1)]);
        var pieces = new CitationReader([PassageOf(1, 1), PassageOf(2, 1), PassageOf(3, 1)]);

        whole.Read(text);
        foreach (var rune in text.EnumerateRunes()) pieces.Read(rune.ToString());

        Assert.Equal(expected, whole.Cited.Select(c => c.Number));
        Assert.Equal(expected, pieces.Cited.Select(c => c.Number));
    }
}
