using System.Text;
using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>Writes the reply of the extractive engine: one honest sentence, then quotations with their numbers, or why there are none.</summary>
internal static class AnswerComposer
{
    private const int MaxQuotes = 3;

    // Chosen on the fixtures in tests: below it sentences share a word with the question by chance.
    private const double Threshold = 0.3;

    // A further quotation must be nearly as good as the best one.
    private const double ShareOfBest = 0.7;

    public static string Compose(GenerationRequest request)
    {
        var question = Question(request);
        var phrases = Phrases.For(request.Language, question);
        if (request.Passages.Count == 0)
            return phrases.NoDocuments;

        var quotes = AsksForOverview(question) ? Overview(request.Passages) : Answers(question, request.Passages);
        return quotes.Count == 0 ? phrases.NotInDocuments : Write(phrases.Introduction, quotes);
    }

    private static string Question(GenerationRequest request) =>
        request.Messages.LastOrDefault(message => message.Role == ChatRole.User)?.Content ?? request.Prompt;

    private static List<Quote> Answers(string question, IReadOnlyList<Passage> passages)
    {
        var ranked = SentenceRanker.Rank(question, passages);
        var chosen = new List<Quote>();
        foreach (var quote in ranked)
        {
            if (chosen.Count == MaxQuotes || quote.Score < Threshold || quote.Score < ranked[0].Score * ShareOfBest)
                break;
            if (!chosen.Exists(other => SentenceRanker.AreNearDuplicates(other.Unit, quote.Unit)))
                chosen.Add(quote);
        }

        return chosen;
    }

    // "Summarise the document" names nothing to look for: the opening sentence of each passage is the fairest excerpt.
    private static List<Quote> Overview(IReadOnlyList<Passage> passages)
    {
        var chosen = new List<Quote>();
        foreach (var passage in passages)
        {
            var unit = DocumentText.Read(passage.Text).FirstOrDefault(unit => unit.Kind == UnitKind.Sentence);
            if (unit.Text is null || chosen.Exists(other => SentenceRanker.AreNearDuplicates(other.Unit, unit)))
                continue;

            chosen.Add(new Quote(passage.Number, unit, passage.Score));
            if (chosen.Count == MaxQuotes)
                break;
        }

        return chosen;
    }

    private static bool AsksForOverview(string question)
    {
        var content = Words.Read(question).Where(word => !FunctionWords.Contains(word.Text)).ToList();
        return content.Count > 0 && content.TrueForAll(word =>
            FunctionWords.AsksForOverview(word.Text) || FunctionWords.AsksForOverview(Stemmer.Stem(word)) || FunctionWords.Contains(Stemmer.Stem(word)));
    }

    private static string Write(string introduction, List<Quote> quotes)
    {
        var answer = new StringBuilder(introduction);
        foreach (var quote in quotes)
        {
            answer.Append("\n\n> ").Append(quote.Unit.Text.Replace("\n", "\n> ", StringComparison.Ordinal));

            // The citation of a code block stands below it, or the closing fence would not close.
            answer.Append(quote.Unit.Kind == UnitKind.Code ? "\n>\n> " : " ").Append('[').Append(quote.Number).Append(']');
        }

        return answer.ToString();
    }
}
