using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;

namespace Fleet.Inference.Tests.Engine.Sampling;

/// <summary>A vocabulary of given texts; the last token ends the generation.</summary>
internal sealed class WordVocabulary(params string[] words) : IVocabulary
{
    private readonly byte[][] _bytes = [.. words.Select(Encoding.UTF8.GetBytes), []];

    public int Size => _bytes.Length;

    public int End => _bytes.Length - 1;

    /// <summary>As many tokens as asked for, spelt by their numbers.</summary>
    public static WordVocabulary Of(int size) => new([.. Enumerable.Range(0, size - 1).Select(token => $" {token}")]);

    public ReadOnlyMemory<byte> Bytes(int token) => _bytes[token];

    public bool IsEndOfGeneration(int token) => token == End;

    public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom) => throw new NotSupportedException();

    public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) => throw new NotSupportedException();
}
