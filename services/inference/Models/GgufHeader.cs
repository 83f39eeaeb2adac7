namespace Fleet.Inference.Models;

/// <summary>An array in the metadata; of large ones only the shape is kept, the elements may be many megabytes.</summary>
/// <param name="Numbers">The elements of an array of whole numbers or truth values with one entry per layer at most; else null.</param>
internal readonly record struct GgufArray(GgufType ElementType, long Count, IReadOnlyList<long>? Numbers = null);

/// <param name="Columns">Elements of the first, contiguous dimension.</param>
internal sealed record GgufTensor(string Name, long Elements, int Type, ulong Offset, long Columns)
{
    /// <summary>0 for a type that is not known.</summary>
    public long Bytes => GgufTensorTypes.Find(Type) is { } format ? Elements / format.BlockElements * format.BlockBytes : 0;
}

/// <summary>Everything before a GGUF file's weights.</summary>
internal sealed record GgufHeader
{
    public required IReadOnlyDictionary<string, object> Metadata { get; init; }

    public required IReadOnlyList<GgufTensor> Tensors { get; init; }

    /// <summary>Where tensor data begins in the file.</summary>
    public required long DataStart { get; init; }

    public required long FileLength { get; init; }

    /// <summary>A token text that occurs twice: llama.cpp aborts on it. Found only by a full read.</summary>
    public string? DuplicateToken { get; init; }

    public string Architecture => Text("general.architecture") ?? "";

    public long Parameters => Tensors.Sum(tensor => tensor.Elements);

    public string? Text(string key) => Metadata.GetValueOrDefault(key) as string;

    /// <summary>A whole number of any width; null when absent or not a number.</summary>
    public long? Number(string key) => Metadata.GetValueOrDefault(key) switch
    {
        long value => value,
        double value when value is >= long.MinValue and < long.MaxValue => (long)value,
        _ => null,
    };

    /// <summary>A value under the architecture's own prefix, as in "llama.context_length".</summary>
    public long? OfArchitecture(string key) => Number($"{Architecture}.{key}");

    /// <summary>A value that is the same for all layers or given for each; null when absent or too few.</summary>
    public IReadOnlyList<long>? PerLayer(string key, int layers)
    {
        if (OfArchitecture(key) is { } same)
            return [.. Enumerable.Repeat(same, layers)];
        return Array($"{Architecture}.{key}")?.Numbers is { } each && each.Count >= layers ? each : null;
    }

    public GgufArray? Array(string key) => Metadata.GetValueOrDefault(key) is GgufArray array ? array : null;
}

/// <summary>Value types of the GGUF format, by their numbers in the file.</summary>
internal enum GgufType
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}
