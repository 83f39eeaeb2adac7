namespace Fleet.Inference.Engine.Chat;

/// <summary>
/// A conversation under a template, cut so that only the template's own text can become control tokens. The template is applied twice, to
/// the real texts and to marked ones; laid side by side they show who wrote which character. Only where a control token's text touches what
/// others wrote is the prompt cut, so a harmless conversation is tokenised in one piece, exactly as llama.cpp's own server does.
/// </summary>
internal static class SafePrompt
{
    /// <param name="real">The template applied to the texts as they are.</param>
    /// <param name="markedOutputs">The template applied to marked texts, in ways of growing cost; null where it refused.</param>
    /// <param name="broken">The template applied to texts whose control tokens' texts are broken: for templates whose output depends on the text.</param>
    public static IReadOnlyList<PromptSegment> Cut(ControlTexts control, string real, IEnumerable<Func<string?>> markedOutputs, Func<string> broken)
    {
        foreach (var output in markedOutputs)
        {
            if (output() is { } marked && UserTextMarks.Align(real, marked) is { } theirs)
                return Cut(control, real, theirs);
        }

        return [new PromptSegment(broken(), ControlTokens: true)];
    }

    private static List<PromptSegment> Cut(ControlTexts control, string text, bool[] theirs)
    {
        var segments = new List<PromptSegment>();
        var done = 0;
        foreach (var occurrence in control.Find(text))
        {
            var (start, length) = occurrence.GetOffsetAndLength(text.Length);
            var first = Array.IndexOf(theirs, true, start, length);
            if (first < 0 || first < done)
                continue;

            var last = Array.LastIndexOf(theirs, true, start + length - 1, length);
            // As much around it as is surely not the template's: one long piece tokenises like the whole text, many short ones do not.
            while (first > done && !IsTemplates(first - 1))
                first--;
            while (last + 1 < text.Length && !IsTemplates(last + 1))
                last++;
            Add(text[done..first], controlTokens: true);
            Add(text[first..(last + 1)], controlTokens: false);
            done = last + 1;
        }

        Add(text[done..], controlTokens: true);
        return segments;

        bool IsTemplates(int at) => !theirs[at] && control.Contains(text[at]);

        void Add(string piece, bool controlTokens)
        {
            if (piece.Length > 0)
                segments.Add(new PromptSegment(piece, controlTokens));
        }
    }
}
