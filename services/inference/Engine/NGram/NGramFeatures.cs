using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.NGram;

/// <summary>
/// The features of a text with their weights. Every word gives its stem and its n-grams; the n-grams of a word share a fixed mass, so
/// that a long word is not a loud one. Repetition counts sublinearly (1 + ln n). Function words are damped, not dropped:
/// two texts made of nothing else still differ.
/// </summary>
internal static class NGramFeatures
{
    private const float FunctionWordWeight = 0.08f;
    private const float NumberWeight = 0.9f;
    private const float AlphabeticRunMass = 0.75f;
    private const float HangulRunMass = 1f;

    // A single syllable says little (particles, endings, verbs cut short).
    private const float OneSyllableWeight = 0.35f;

    public static IEnumerable<(string Feature, float Weight)> Of(string text)
    {
        var counts = new Dictionary<string, (int Count, float Weight)>(StringComparer.Ordinal);
        foreach (var word in Words.Read(text))
            AddWord(word);

        return counts.Select(entry => (entry.Key, entry.Value.Weight * (1 + MathF.Log(entry.Value.Count))));

        void AddWord(Word word)
        {
            var stem = Stemmer.Stem(word);
            if (FunctionWords.Contains(word.Text) || FunctionWords.Contains(stem))
            {
                Add($"f:{stem}", FunctionWordWeight);
                return;
            }

            switch (word.Kind)
            {
                case WordKind.Number:
                    Add($"n:{word.Text}", NumberWeight);
                    break;
                case WordKind.Alphabetic:
                    Add($"w:{stem}", Loudness(stem.Length, 4));
                    AddRuns($"^{stem}$", 3, 5, AlphabeticRunMass * Loudness(stem.Length, 4));
                    break;
                default:
                    Add($"w:{stem}", stem.Length == 1 ? OneSyllableWeight : Loudness(stem.Length, 2));
                    AddRuns(stem, 1, 3, HangulRunMass * Loudness(stem.Length, 2));
                    break;
            }
        }

        void AddRuns(string stem, int shortest, int longest, float mass)
        {
            var runs = new List<string>();
            for (var length = shortest; length <= longest; length++)
            {
                for (var i = 0; i + length <= stem.Length; i++)
                    runs.Add($"{length}:{stem.AsSpan(i, length)}");
            }

            if (runs.Count == 0)
                return;

            // Squares add up, so the square root keeps the word's mass whatever its number of runs.
            var weight = mass / MathF.Sqrt(runs.Count);
            foreach (var run in runs)
                Add(run, weight);
        }

        void Add(string feature, float weight)
        {
            var (count, loudest) = counts.GetValueOrDefault(feature);
            counts[feature] = (count + 1, Math.Max(loudest, weight));
        }
    }

    // Longer words are rarer words; the cap keeps identifiers and compounds in proportion.
    private static float Loudness(int length, int usual) => Math.Clamp(0.7f + 0.15f * ((float)length / usual), 0.7f, 1.3f);
}
