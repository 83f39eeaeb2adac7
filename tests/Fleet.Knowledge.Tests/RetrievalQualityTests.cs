using System.Globalization;

namespace Fleet.Knowledge.Tests;

/// <summary>
/// Recall@3 on the bilingual set through the whole service. Vectors come from a stand-in here (hashed bigrams), so the numbers are
/// a floor for regressions of chunking, terms, ranking and fusion, not a claim about any model.
/// </summary>
public sealed class RetrievalQualityTests(KnowledgeFixture fleet)
{
    // Measured 2026-11-20 (English/Korean): hybrid 1.00/1.00, lexical 1.00/1.00, similarity 0.94/1.00.
    [Theory]
    [InlineData("hybrid", 1.0, 1.0)]
    [InlineData("lexical", 1.0, 1.0)]
    [InlineData("similarity", 0.93, 1.0)]
    public async Task Recall_at_3_holds_in_both_languages(string type, double english, double korean)
    {
        using var client = fleet.ClientFor(Guid.CreateVersion7());
        var collection = await client.CreateCollectionAsync("Corpus");
        foreach (var (name, text) in BilingualCorpus.Documents)
            await client.IndexAsync(collection, name, text);

        var (englishRecall, englishMisses) = await RecallAsync(client, collection, type, BilingualCorpus.English);
        var (koreanRecall, koreanMisses) = await RecallAsync(client, collection, type, BilingualCorpus.Korean);

        TestContext.Current.SendDiagnosticMessage(string.Create(CultureInfo.InvariantCulture,
            $"recall@3 {type}: English {englishRecall:F2}, Korean {koreanRecall:F2}"));
        Assert.True(englishRecall >= english, $"{type} English {englishRecall:F2}: {string.Join(" | ", englishMisses)}");
        Assert.True(koreanRecall >= korean, $"{type} Korean {koreanRecall:F2}: {string.Join(" | ", koreanMisses)}");
    }

    private static async Task<(double Recall, List<string> Misses)> RecallAsync(
        HttpClient client, Guid collection, string type, (string Question, string Answer)[] questions)
    {
        var misses = new List<string>();
        foreach (var (question, answer) in questions)
        {
            var found = await client.SearchAsync(question, type, 3, collection);
            if (!found.Results.Any(hit => hit.Text.Contains(answer, StringComparison.Ordinal)))
                misses.Add(question);
        }

        return (1.0 - ((double)misses.Count / questions.Length), misses);
    }
}
