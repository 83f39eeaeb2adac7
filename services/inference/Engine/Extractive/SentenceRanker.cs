using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>A quotation and how much of the question it covers, 0–1 and a little above.</summary>
internal sealed record Quote(int Number, TextUnit Unit, double Score);

/// <summary>
/// Scores every sentence of the passages by the share of the question it covers, terms weighted by how rare they are among these
/// sentences. Terms found only in the heading or title above count in part. Deterministic: ties go to the earlier sentence.
/// </summary>
internal static class SentenceRanker
{
    private const double HeadingShare = 0.45;
    private const double TitleShare = 0.25;
    private const double NumberBonus = 0.06;
    private const double RetrievalBonus = 0.05;

    // Beyond this a "sentence" is a list or a run-on and covers terms by sheer length.
    private const int LongSentenceWords = 45;
    private const double TooSimilar = 0.7;

    public static List<Quote> Rank(string question, IReadOnlyList<Passage> passages)
    {
        var asked = QuestionTerms.Of(question);
        var candidates = Candidates(passages);
        if (asked.Count == 0 || candidates.Count == 0)
            return [];

        var rarity = Rarity(asked, candidates);
        var total = asked.Sum(term => term.Value * rarity[term.Key]);
        var wantsNumber = AsksForNumber(question);
        var bestRetrieval = Math.Max(passages.Max(passage => passage.Score), double.Epsilon);

        return [.. candidates
            .Select(candidate => new Quote(candidate.Passage.Number, candidate.Unit, Score(candidate)))
            .OrderByDescending(quote => quote.Score)];

        double Score(Candidate candidate)
        {
            var covered = 0d;
            foreach (var (term, weight) in asked)
            {
                var share = candidate.Terms.ContainsKey(term) ? 1
                    : candidate.HeadingTerms.ContainsKey(term) ? HeadingShare
                    : candidate.TitleTerms.ContainsKey(term) ? TitleShare
                    : 0;
                covered += share * weight * rarity[term];
            }

            // Nothing of the sentence itself is asked about: a heading alone does not make it an answer.
            var own = asked.Any(term => candidate.Terms.ContainsKey(term.Key));
            var score = covered / total * (own ? 1 : 0.6);
            if (score <= 0)
                return 0;
            if (candidate.Words < 3)
                score *= 0.7;
            if (candidate.Words > LongSentenceWords)
                score *= Math.Sqrt((double)LongSentenceWords / candidate.Words);
            if (candidate.Unit.Text.EndsWith('?') || candidate.Unit.Text.EndsWith('？'))
                score *= 0.6;
            if (wantsNumber && candidate.Unit.Text.Any(char.IsAsciiDigit))
                score += NumberBonus;
            return score + RetrievalBonus * Math.Clamp(candidate.Passage.Score / bestRetrieval, 0, 1);
        }
    }

    /// <summary>Whether two quotes say nearly the same: overlap of their terms.</summary>
    public static bool AreNearDuplicates(TextUnit left, TextUnit right)
    {
        var a = QuestionTerms.Of(left.Text);
        var b = QuestionTerms.Of(right.Text);
        if (a.Count == 0 || b.Count == 0)
            return left.Text == right.Text;

        var common = a.Keys.Count(b.ContainsKey);
        return (double)common / Math.Min(a.Count, b.Count) > TooSimilar && (double)common / Math.Max(a.Count, b.Count) > TooSimilar / 2;
    }

    private static List<Candidate> Candidates(IReadOnlyList<Passage> passages) =>
    [
        .. from passage in passages
           let titleTerms = QuestionTerms.Of(passage.Title)
           from unit in DocumentText.Read(passage.Text)
           select new Candidate(passage, unit, QuestionTerms.Of(unit.Text), QuestionTerms.Of(unit.Heading), titleTerms, Words.Read(unit.Text).Count()),
    ];

    private static Dictionary<string, double> Rarity(Dictionary<string, double> asked, List<Candidate> candidates)
    {
        var rarity = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var term in asked.Keys)
        {
            var having = candidates.Count(candidate => candidate.Terms.ContainsKey(term));
            rarity[term] = Math.Log(1 + (candidates.Count + 1.0) / (having + 1.0));
        }

        return rarity;
    }

    private static bool AsksForNumber(string question)
    {
        var words = Words.Read(question).Select(word => word.Text).ToHashSet(StringComparer.Ordinal);
        return words.Overlaps(["when", "many", "much", "long", "often", "old", "far", "언제", "얼마", "얼마나", "얼마인가요", "얼마까지", "몇", "며칠", "언제인가요", "언제까지"])
            || question.Contains("how ", StringComparison.OrdinalIgnoreCase) && words.Overlaps(["big", "large", "fast", "high"]);
    }

    private sealed record Candidate(
        Passage Passage, TextUnit Unit, Dictionary<string, double> Terms, Dictionary<string, double> HeadingTerms, Dictionary<string, double> TitleTerms, int Words);
}
