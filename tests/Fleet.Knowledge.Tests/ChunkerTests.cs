using System.Text;
using Fleet.Knowledge.Ingestion;

namespace Fleet.Knowledge.Tests;

public sealed class ChunkerTests
{
    [Fact]
    public void Offsets_are_exact_and_nothing_but_white_space_is_lost_for_any_text()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var text = RandomText(new Random(seed));
            foreach (var markdown in new[] { true, false })
            {
                var chunks = Chunker.Split(text, markdown);
                var covered = new bool[text.Length];
                var previous = -1;
                foreach (var chunk in chunks)
                {
                    Assert.Equal(text[chunk.Start..chunk.End], chunk.Text);
                    Assert.Equal(chunk.Text.Trim(), chunk.Text);
                    Assert.NotEmpty(chunk.Text);
                    Assert.True(chunk.Start > previous, $"seed {seed}: chunks do not advance");
                    Assert.True(chunk.Text.Length <= Chunker.MaxBlockCharacters + Chunker.TargetCharacters, $"seed {seed}: {chunk.Text.Length} characters");
                    Assert.False(char.IsLowSurrogate(chunk.Text[0]), $"seed {seed}: a pair was torn");
                    Assert.False(char.IsHighSurrogate(chunk.Text[^1]), $"seed {seed}: a pair was torn");
                    Array.Fill(covered, true, chunk.Start, chunk.End - chunk.Start);
                    previous = chunk.Start;
                }

                for (var i = 0; i < text.Length; i++)
                    Assert.True(covered[i] || char.IsWhiteSpace(text[i]), $"seed {seed}: character {i} is in no chunk");
            }
        }
    }

    [Fact]
    public void A_passage_repeats_at_most_the_overlap_in_whole_sentences()
    {
        var text = string.Join(" ", Enumerable.Range(0, 120).Select(i => $"This is sentence number {i} of the text."));

        var chunks = Chunker.Split(text, markdown: false);

        Assert.True(chunks.Count > 3);
        foreach (var (first, second) in chunks.Zip(chunks.Skip(1)))
        {
            Assert.InRange(first.End - second.Start, 1, Chunker.OverlapCharacters);
            Assert.StartsWith("This is sentence", second.Text, StringComparison.Ordinal);
            Assert.EndsWith(".", first.Text, StringComparison.Ordinal);
            Assert.True(first.Text.Length <= Chunker.TargetCharacters);
        }
    }

    [Fact]
    public void Headings_start_passages_and_are_kept_as_a_path()
    {
        const string Text = "# Guide\n\n## Install\n\nRun the installer.\n\n### Linux\n\nUse apt.\n\n## Use\n\nType a question.";

        var chunks = Chunker.Split(Text, markdown: true);

        Assert.Equal(3, chunks.Count);
        Assert.StartsWith("# Guide\n\n## Install\n\nRun", chunks[0].Text, StringComparison.Ordinal);
        Assert.Equal(["Guide", "Install", "Linux"], chunks[1].Headings);
        Assert.Equal(["Guide", "Use"], chunks[2].Headings);
    }

    [Theory]
    [InlineData("```csharp\n", "var x = 1; // a line of code\n", "```")]
    [InlineData("| a | b |\n|---|---|\n", "| a cell with text | another cell |\n", "")]
    public void Code_and_tables_that_fit_are_not_torn(string opening, string line, string closing)
    {
        var block = (opening + string.Concat(Enumerable.Repeat(line, 30)) + closing).TrimEnd();
        Assert.InRange(block.Length, Chunker.TargetCharacters, Chunker.MaxBlockCharacters);
        var prose = string.Join(" ", Enumerable.Repeat("Some words before the block that matters.", 12));

        var chunks = Chunker.Split($"# Title\n\n{prose}\n\n{block}\n\n{prose}", markdown: true);

        Assert.Contains(chunks, chunk => chunk.Text.Contains(block, StringComparison.Ordinal));
    }

    [Fact]
    public void A_heading_inside_a_code_fence_is_code()
    {
        var chunks = Chunker.Split("# Real\n\n```sh\n# not a heading\nls\n```\n\nText.", markdown: true);

        Assert.Equal(["Real"], Assert.Single(chunks).Headings);
    }

    [Fact]
    public void Korean_sentences_are_borders_with_and_without_full_stops()
    {
        const string Text = "환불은 7일 안에 가능합니다. 배송비는 고객이 냅니다.\n포장을 뜯으면 환불이 안 돼요\n자세한 내용은 고객센터에 문의하세요.";

        var ends = SentenceSplitter.Borders(Text, 0, Text.Length).ToList();

        Assert.Equal(4, ends.Count);
        Assert.EndsWith("가능합니다.", Text[..ends[0]], StringComparison.Ordinal);
        Assert.EndsWith("안 돼요", Text[..ends[2]], StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_and_abbreviations_do_not_end_sentences()
    {
        const string Text = "Version 2.5 costs 3.50 dollars, e.g. for Dr. Kim and J. Lee. It is new.";

        Assert.Equal(2, SentenceSplitter.Borders(Text, 0, Text.Length).Count());
    }

    [Theory]
    [InlineData("")]
    [InlineData("  \n\n\t ")]
    public void Nothing_gives_no_passages(string text) => Assert.Empty(Chunker.Split(text, markdown: true));

    private static string RandomText(Random random)
    {
        string[] pieces =
        [
            "Hello world. ", "회의는 3시에 시작합니다. ", "😀", "# Heading\n", "## 둘째 제목\n", "\n\n", "\n", "```\ncode line\n", "```\n", "| a | b |\n", "- item one\n",
            "1. first\n", "e.g. this ", "…", "。", "(quoted.) ", "\t", "가나다라마바사", new string('x', 300), new string('아', 500), "word ", "~~~~\n", "#", "|",
            string.Concat(Enumerable.Repeat("🚀", 200)), "끝났어요\n",
        ];
        var text = new StringBuilder();
        for (var count = random.Next(0, 120); count > 0; count--)
            text.Append(pieces[random.Next(pieces.Length)]);

        return text.ToString();
    }
}
