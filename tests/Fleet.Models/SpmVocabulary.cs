namespace Fleet.Models;

/// <summary>
/// A SentencePiece vocabulary small enough to read: control tokens, all 256 byte tokens (so that any text, Korean included, is
/// spelt), some English words with every prefix that merging needs, printable ASCII, and the ChatML markers.
/// </summary>
internal sealed class SpmVocabulary
{
    private const int Normal = 1;
    private const int Unknown = 2;
    private const int Control = 3;
    private const int Unused = 5;
    private const int Byte = 6;

    private const char WordStart = '\u2581';

    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);

    public SpmVocabulary(int size, params IEnumerable<string> furtherControl)
    {
        AddSpecial("<unk>", Unknown);
        AddSpecial("<s>", Control);
        AddSpecial("</s>", Control);
        for (var value = 0; value < 256; value++)
            AddSpecial($"<0x{value:X2}>", Byte);

        string[] words = ["the", "and", "of", "to", "in", "is", "hello", "world", "my", "name", "cat", "dog", "run"];
        foreach (var word in words.Append("a"))
            AddPiece(WordStart + word);
        foreach (var pair in "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne ea ra ce".Split(' '))
            AddPiece(pair);
        foreach (var word in words)
        {
            for (var length = 1; length < word.Length; length++)
                AddPiece(WordStart + word[..length]);
        }

        AddPiece(WordStart.ToString());
        for (var c = '!'; c <= '~'; c++)
            AddPiece(c.ToString());
        foreach (var character in (string[])["é", "世", "界", "🙂"])
            AddPiece(character);

        AddSpecial("<|im_start|>", Control);
        AddSpecial("<|im_end|>", Control);
        foreach (var token in furtherControl.Where(token => !_seen.Contains(token)))
            AddSpecial(token, Control);
        while (Tokens.Count < size)
            AddSpecial($"<unused{Tokens.Count}>", Unused);
    }

    public List<string> Tokens { get; } = [];

    public List<float> Scores { get; } = [];

    public List<int> Types { get; } = [];

    private void AddSpecial(string token, int type)
    {
        _seen.Add(token);
        Tokens.Add(token);
        Scores.Add(0);
        Types.Add(type);
    }

    // Merging prefers the higher score, so earlier pieces win.
    private void AddPiece(string piece)
    {
        if (!_seen.Add(piece))
            return;

        Tokens.Add(piece);
        Scores.Add(-Tokens.Count);
        Types.Add(Normal);
    }
}
