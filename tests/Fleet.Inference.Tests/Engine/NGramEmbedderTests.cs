using Fleet.Inference.Engine.NGram;

namespace Fleet.Inference.Tests.Engine;

public sealed class NGramEmbedderTests
{
    private const double WantedShare = 0.85;

    [Fact]
    public void Embed_AnyText_HasLengthOne()
    {
        foreach (var text in (string[])["hello", "안녕하세요", "1", "!?", " ", "가", new string('x', 10_000), "👍🏽"])
        {
            var vector = NGramEmbedder.Embed(text);

            Assert.Equal(NGramEmbedder.Width, vector.Length);
            Assert.Equal(1, Dot(vector, vector), 5);
        }
    }

    [Fact]
    public void Embed_SameTextInOtherNormalizationOrCase_IsSameVector()
    {
        Assert.Equal(NGramEmbedder.Embed("한국어 Text"), NGramEmbedder.Embed("한국어 Text".Normalize(System.Text.NormalizationForm.FormD)));
        Assert.Equal(NGramEmbedder.Embed("PostgreSQL"), NGramEmbedder.Embed("postgresql"));
    }

    [Fact]
    public void Embed_InflectedForms_AreCloserThanOtherWords()
    {
        Assert.True(Similarity("보증기간은", "보증 기간") > Similarity("보증기간은", "배송 비용"));
        Assert.True(Similarity("databases", "database") > 0.8);
        Assert.True(Similarity("the cat and the dog", "the of and to in") < 0.35);
    }

    [Fact]
    public void Retrieval_EnglishAndKorean_FindsTheRightSentenceAmongAll()
    {
        Assert.True(ShareFound(QuestionPairs.English) >= WantedShare, $"English: {ShareFound(QuestionPairs.English):P0}; missed {Missed(QuestionPairs.English)}");
        Assert.True(ShareFound(QuestionPairs.Korean) >= WantedShare, $"Korean: {ShareFound(QuestionPairs.Korean):P0}; missed {Missed(QuestionPairs.Korean)}");
    }

    private static double ShareFound((string Question, string Sentence)[] pairs) => (double)pairs.Count(pair => Found(pair) == pair.Sentence) / pairs.Length;

    private static string Missed((string Question, string Sentence)[] pairs) =>
        string.Join(" / ", pairs.Where(pair => Found(pair) != pair.Sentence).Select(pair => $"{pair.Question} -> {Found(pair)}"));

    // Both languages' sentences compete.
    private static string Found((string Question, string Sentence) pair) =>
        QuestionPairs.English.Concat(QuestionPairs.Korean).MaxBy(other => Similarity(pair.Question, other.Sentence)).Sentence;

    private static double Similarity(string left, string right) => Dot(NGramEmbedder.Embed(left), NGramEmbedder.Embed(right));

    private static double Dot(float[] left, float[] right)
    {
        var sum = 0d;
        for (var i = 0; i < left.Length; i++)
            sum += (double)left[i] * right[i];
        return sum;
    }
}
