using Fleet.Inference.Engine.Extractive;

namespace Fleet.Inference.Tests.Engine;

public sealed class DocumentTextTests
{
    [Fact]
    public void Read_Markdown_KeepsUnitsAndTheirHeadings()
    {
        var units = DocumentText.Read("""
            # Title

            First **bold** sentence. Second with [a link](https://example.org/x_y).

            - item one
            - item two
              goes on

            | Name | Age |
            |---|---:|
            | Kim | 40 |

            ```sh
            make all

            make test
            ```
            """);

        Assert.Equal(
            ["First bold sentence.", "Second with a link.", "item one", "item two goes on", "Kim | 40", "```\nmake all\n\nmake test\n```"],
            units.Select(unit => unit.Text));
        Assert.All(units, unit => Assert.StartsWith("Title", unit.Heading, StringComparison.Ordinal));
        Assert.Equal("Title Name | Age", units[4].Heading);
    }

    [Fact]
    public void Read_PlainTextLabel_BecomesHeadingOfWhatFollows()
    {
        var units = DocumentText.Read("Opening hours\n\nWe are open from nine to five.");

        Assert.Equal([new TextUnit("We are open from nine to five.", UnitKind.Sentence, "Opening hours")], units);
    }

    [Theory]
    [InlineData("snake_case_name stays", "snake_case_name stays")]
    [InlineData("2 * 3 * 4", "2 * 3 * 4")]
    [InlineData("**굵게**는 표시", "굵게는 표시")]
    [InlineData("`code` and _emphasis_", "code and emphasis")]
    [InlineData("a<br>b", "a b")]
    public void StripInline_RemovesMarksOnly(string text, string expected) => Assert.Equal(expected, DocumentText.StripInline(text));

    [Fact]
    public void Read_UnclosedFence_EndsWithTheText() => Assert.Single(DocumentText.Read("```\nno end"));

    [Fact]
    public void Read_OnlyAHeading_IsQuotable() => Assert.Single(DocumentText.Read("# Only this"));

    [Fact]
    public void StripInline_AnAutolink_KeepsTheAddress() =>
        Assert.Equal("Open http://localhost:8080/a?b=1 now", DocumentText.StripInline("Open <http://localhost:8080/a?b=1> <b>now</b>"));
}
