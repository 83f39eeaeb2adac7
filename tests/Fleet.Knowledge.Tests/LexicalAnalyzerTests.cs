using System.Text;
using Fleet.Knowledge.Retrieval;

namespace Fleet.Knowledge.Tests;

public sealed class LexicalAnalyzerTests
{
    [Theory]
    [InlineData("고양이는", "고양이가")]
    [InlineData("데이터베이스에서", "데이터베이스를")]
    [InlineData("환불정책", "환불 정책")]
    [InlineData("Servers", "server")]
    [InlineData("GPU를", "gpu")]
    [InlineData("검색", "벡터검색엔진")]
    public void Forms_of_a_word_share_a_term(string one, string other) =>
        Assert.NotEmpty(LexicalAnalyzer.Count(one).Keys.Intersect(LexicalAnalyzer.Count(other).Keys));

    [Fact]
    public void A_Korean_stem_is_a_term_of_its_own() => Assert.Contains("데이터베이스", LexicalAnalyzer.Count("데이터베이스에서는").Keys);

    [Fact]
    public void Decomposed_text_gives_the_same_terms() =>
        Assert.Equal(LexicalAnalyzer.Count("한글 문서"), LexicalAnalyzer.Count("한글 문서".Normalize(NormalizationForm.FormD)));

    [Fact]
    public void A_question_drops_words_that_say_nothing_unless_it_has_no_others()
    {
        Assert.Equal(["capital", "france"], LexicalAnalyzer.Query("What is the capital of France?", 10));
        Assert.NotEmpty(LexicalAnalyzer.Query("what is this", 10));
    }

    [Fact]
    public void Long_words_are_cut() => Assert.All(LexicalAnalyzer.Count(new string('x', 5000)).Keys, term => Assert.True(term.Length <= 64));

    [Theory]
    [InlineData("")]
    [InlineData("?!… \n")]
    public void No_words_give_no_terms(string text) => Assert.Empty(LexicalAnalyzer.Count(text));

    [Fact]
    public void Fusion_prefers_what_both_retrievers_found()
    {
        var (a, b, c) = (Guid.CreateVersion7(), Guid.CreateVersion7(), Guid.CreateVersion7());

        var fused = RankFusion.Fuse(3, [new(a, 9), new(b, 8)], [new(c, 0.9), new(b, 0.8)]);

        Assert.Equal(b, fused[0].ChunkId);
        Assert.Equal(1.0 / 62 + 1.0 / 62, fused[0].Score, 12);
    }
}
