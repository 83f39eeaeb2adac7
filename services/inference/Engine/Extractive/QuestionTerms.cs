using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>
/// A text as weighted terms: the stem of each content word, and inside it the n-grams that let inflected and compound forms meet
/// (Hangul syllable pairs, four-letter runs). Function words are left out.
/// </summary>
internal static class QuestionTerms
{
    private const double PairWeight = 0.5;
    private const double LetterRunWeight = 0.25;

    public static Dictionary<string, double> Of(string text)
    {
        var terms = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var word in Words.Read(text))
        {
            if (FunctionWords.Contains(word.Text))
                continue;

            var stem = Stemmer.Stem(word);
            if (FunctionWords.Contains(stem))
                continue;

            Add(stem, word.Kind == WordKind.Hangul && stem.Length == 1 ? 0.4 : 1);
            switch (word.Kind)
            {
                case WordKind.Hangul or WordKind.Ideographic:
                    AddRuns(stem, 2, PairWeight);
                    break;
                case WordKind.Alphabetic:
                    AddRuns(stem, 4, LetterRunWeight);
                    break;
            }
        }

        return terms;

        void Add(string term, double weight) => terms[term] = Math.Max(weight, terms.GetValueOrDefault(term));

        void AddRuns(string stem, int length, double weight)
        {
            for (var i = 0; stem.Length > length && i + length <= stem.Length; i++)
                Add($"~{stem.AsSpan(i, length)}", weight);

            // The pair "보증" inside "보증기간" must meet the word 보증 itself.
            if (stem.Length == length)
                Add($"~{stem}", weight);
        }
    }
}
