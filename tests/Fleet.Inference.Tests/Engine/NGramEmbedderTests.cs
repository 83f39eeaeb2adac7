using System.Globalization;
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

    /// <summary>Stored vectors depend on these numbers: when this test must change, so must <see cref="NGramEmbedder.SpaceName"/>.</summary>
    [Theory]
    [InlineData("hello world", "48:-0.397 61:-0.397 73:-0.397 129:-0.397 19:-0.172 35:-0.172 6:0.086 17:-0.086", -52.343)]
    [InlineData("한국어 문서를 검색합니다.", "86:0.299 404:-0.299 353:0.281 8:-0.275 45:-0.275 139:0.275 277:-0.275 43:0.159", -178.585)]
    [InlineData("The 2 systems of R&D가 PostgreSQL 17을 씁니다. 東京", "281:0.292 42:-0.255 4:-0.220 212:0.220 384:-0.220 440:0.220 288:0.214 400:-0.214", 174.608)]
    public void Embed_Golden_NeverChangesSilently(string text, string expected, double sum)
    {
        var vector = NGramEmbedder.Embed(text);

        var wanted = expected.Split(' ').Select(entry => entry.Split(':')).Select(entry => (Index: int.Parse(entry[0], CultureInfo.InvariantCulture), Value: float.Parse(entry[1], CultureInfo.InvariantCulture)));
        Assert.All(wanted, entry => Assert.Equal(entry.Value, vector[entry.Index], 0.001f));

        // Every other coordinate, in one number.
        Assert.True(Math.Abs(vector.Select((value, index) => value * (index + 1)).Sum() - sum) < 0.05, Describe(vector));
    }

    private static string Describe(float[] vector) => string.Join(' ', vector.Select((value, index) => (value, index)).OrderByDescending(entry => Math.Abs(entry.value)).Take(8)
        .Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.index}:{entry.value:F3}")).Append($"sum {vector.Select((value, index) => value * (index + 1)).Sum()}"));

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
