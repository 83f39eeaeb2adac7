using System.Text;
using System.Text.RegularExpressions;
using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// How a model wants a query and a document as one text: by its own template, or by the special tokens of its vocabulary
/// ("[CLS] query [SEP] document [SEP]" for BERT). What people wrote is tokenised apart from the template and holds no control tokens.
/// </summary>
internal sealed partial class PairFormat
{
    private static readonly int[] QueryPlace = [-1];
    private static readonly int[] DocumentPlace = [-2];

    // Fixed tokens, and the two places by reference.
    private readonly IReadOnlyList<int[]> _parts;
    private readonly int _fixed;
    private readonly int _queries;
    private readonly int _documents;

    private PairFormat(IReadOnlyList<int[]> parts)
    {
        _parts = parts;
        _queries = parts.Count(part => part == QueryPlace);
        _documents = parts.Count(part => part == DocumentPlace);
        _fixed = parts.Sum(part => part.Length) - _queries - _documents;
    }

    /// <exception cref="EngineException">The file says nothing of pairs.</exception>
    public static PairFormat Of(SafeLlamaModel model, string id)
    {
        var format = model.RerankTemplate is { Length: > 0 } template ? FromTemplate(model, template) : FromTokens(model);
        return format is { _queries: > 0, _documents: > 0 }
            ? format
            : throw new EngineException(EngineError.NotSupported, $"{id} does not say how it wants a query and a document written; it cannot rerank.");
    }

    /// <summary>Tokens a document may have beside a query; less than 1 when none fits.</summary>
    public int RoomForDocument(int queryTokens, int maxTokens) => (int)(((long)maxTokens - _fixed - (long)queryTokens * _queries) / _documents);

    public int[] Join(ReadOnlySpan<int> query, ReadOnlySpan<int> document)
    {
        var joined = new List<int>(_fixed + query.Length * _queries + document.Length * _documents);
        foreach (var part in _parts)
            joined.AddRange(part == QueryPlace ? query : part == DocumentPlace ? document : part);
        return [.. joined];
    }

    private static PairFormat FromTemplate(SafeLlamaModel model, string template) => new([.. Places().Split(template)
        .Where(part => part.Length > 0)
        .Select(part => part switch
        {
            "{query}" => QueryPlace,
            "{document}" => DocumentPlace,
            _ => model.Tokenize(Encoding.UTF8.GetBytes(part), addSpecial: false, parseSpecial: true),
        })]);

    // The separator between is the vocabulary's own; one that names none, but ends every text with a token, uses that.
    private static PairFormat FromTokens(SafeLlamaModel model)
    {
        var frame = TextFrame.Of(model);
        int[] open = [.. frame.Open];
        int[] close = [.. frame.Close];
        int[] separator = [.. model.PairSeparator];
        if (separator.Length == 0)
            separator = close;
        return new PairFormat(separator.Length == 0 ? [] : [open, QueryPlace, separator, DocumentPlace, close]);
    }

    [GeneratedRegex(@"(\{query\}|\{document\})")]
    private static partial Regex Places();
}
