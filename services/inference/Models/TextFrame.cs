using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>The tokens a vocabulary puts before and after a text: BERT's classifier and separator, a decoder's begin and end.</summary>
internal sealed record TextFrame(IReadOnlyList<int> Open, IReadOnlyList<int> Close)
{
    /// <summary>Found by tokenising a letter with and without them: the metadata that decides it differs from one kind of vocabulary to the next.</summary>
    public static TextFrame Of(SafeLlamaModel model)
    {
        var bare = model.Tokenize("a"u8, addSpecial: false, parseSpecial: false);
        var framed = model.Tokenize("a"u8, addSpecial: true, parseSpecial: false);
        var start = framed.AsSpan().IndexOf(bare);
        return start < 0 ? new TextFrame([], []) : new TextFrame(framed[..start], framed[(start + bare.Length)..]);
    }

    /// <summary>A framed text cut to a length; what stands after a text stays.</summary>
    public int[] Cut(int[] framed, int length) => length <= Open.Count + Close.Count ? framed[..length] : [.. framed[..(length - Close.Count)], .. Close];
}
