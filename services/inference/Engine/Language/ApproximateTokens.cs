namespace Fleet.Inference.Engine.Language;

/// <summary>
/// Token counts for the built-in engines, which have no vocabulary: a word of an alphabet counts one token per four letters
/// begun, a number one per three digits, a Hangul syllable or ideograph one each, any other visible character one. Within about a
/// fifth of what common subword vocabularies say for English and Korean prose; good for budgets and usage, not for billing by model.
/// </summary>
internal static class ApproximateTokens
{
    public static int Count(string text)
    {
        var total = 0;
        var visible = 0;
        foreach (var c in text)
        {
            if (!char.IsWhiteSpace(c))
                visible++;
        }

        foreach (var word in Words.Read(text))
        {
            visible -= word.Text.Length;
            total += word.Kind switch
            {
                WordKind.Alphabetic => (word.Text.Length + 3) / 4,
                WordKind.Number => (word.Text.Length + 2) / 3,
                _ => word.Text.Length,
            };
        }

        return total + Math.Max(0, visible);
    }
}
