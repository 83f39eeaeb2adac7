using Fleet.Inference.Engine.Chat;

namespace Fleet.Inference.Tests.Engine.Chat;

public sealed class UserTextTests
{
    private static readonly ControlTexts Control = new(["<s>", "<|end|>", "<|end|><|x|>", "§"]);

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a<s>b", "a<\u200Bs>b")]
    [InlineData("<|end|><|x|>", "<\u200B|end|><|x|>")]
    [InlineData("<<s>s>", "<<\u200Bs>s>")]
    [InlineData("a§b", "a\uFFFDb")]
    public void Break_LeavesNone(string text, string expected)
    {
        var broken = Control.Break(text);

        Assert.Equal(expected, broken);
        Assert.Empty(Control.Find(broken));
    }

    [Fact]
    public void Find_GivesOverlappingOnesToo() =>
        Assert.Equal([0..12, 0..7, 14..17], Control.Find("<|end|><|x|>  <s>"));

    [Fact]
    public void Align_TellsWhoWroteWhat()
    {
        // Only characters that can be part of a control token are marked: here e, n, d, s, x and the signs.
        const string Real = "<s>USE <S> now<|end|>";
        var marked = "<s>" + UserTextMarks.Mark("use <s> now", Control).ToUpperInvariant().Replace("OW", "ow", StringComparison.Ordinal) + "<|end|>";

        var theirs = UserTextMarks.Align(Real, marked);

        Assert.NotNull(theirs);
        Assert.Equal("....SE.<S>.n.........", string.Concat(Real.Select((character, i) => theirs[i] ? character : '.')));
    }

    [Theory]
    [InlineData("same", "same but longer")]
    [InlineData("longer than", "longer")]
    [InlineData("abc", "abd")]
    public void Align_OfDifferentTexts_SaysNothing(string real, string marked) => Assert.Null(UserTextMarks.Align(real, marked));

    [Theory]
    [InlineData("""{"a":"<s>","b<s>":[1,"x"]}""", """{"a":"[<s>]","[b<s>]":[1,"[x]"]}""")]
    [InlineData("""{"a":"\u003cs\u003e \n\"q\" \\"}""", """{"[a]":"[<s> ]\n\"[q]\"[ ]\\"}""")]
    [InlineData("""{"a":"\ud83d\ude42 \ud83d \u0000"}""", """{"[a]":"[🙂 � ]\u0000"}""")]
    [InlineData("""{"a":"cut\""", """{"[a]":"[cut]\""")]
    public void Json_ChangesWhatIsInsideStringsOnly(string json, string expected)
    {
        var form = new UserTextForm(text => $"[{text}]");

        Assert.Equal(expected.Replace("{\"a\"", "{\"[a]\"", StringComparison.Ordinal), form.Json(json));
    }

    [Fact]
    public void Cut_OnlyWhereAControlTextTouchesOthersText()
    {
        const string Real = "<s>user: say <s> now<|end|><s>";
        var marked = "<s>user: " + UserTextMarks.Mark("say <s> now", Control) + "<|end|><s>";

        var segments = SafePrompt.Cut(Control, Real, [() => null, () => marked], () => throw new InvalidOperationException());

        Assert.Equal(Real, string.Concat(segments.Select(segment => segment.Text)));
        Assert.Equal([true, false, true], segments.Select(segment => segment.ControlTokens));
        Assert.Equal("<|end|><s>", segments[2].Text);
    }

    [Fact]
    public void Cut_OfAHarmlessPrompt_IsOnePiece()
    {
        const string Real = "<s>user: hello<|end|>";

        var segment = Assert.Single(SafePrompt.Cut(Control, Real, [() => "<s>user: " + UserTextMarks.Mark("hello", Control) + "<|end|>"], () => ""));

        Assert.Equal(new PromptSegment(Real, ControlTokens: true), segment);
    }

    [Fact]
    public void Cut_WhenNothingCanBeSaid_TakesTheBrokenOne() =>
        Assert.Equal([new PromptSegment("broken", ControlTokens: true)], SafePrompt.Cut(Control, "real", [() => "another", () => null], () => "broken"));
}
