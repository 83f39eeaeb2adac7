using System.Buffers.Binary;
using System.Text;

namespace Fleet.Inference.Models;

/// <summary>
/// Reads the header of a GGUF file from anywhere, hostile files included: every count and length is checked against a limit and
/// against what is left of the file before anything is allocated.
/// </summary>
internal sealed class GgufReader
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int MaxMetadata = 65_536;
    private const int MaxTensors = 65_536;
    private const int MaxNameBytes = 65_535;
    private const int MaxStringBytes = 16 * 1024 * 1024;
    private const long MaxArrayElements = 16 * 1024 * 1024;
    private const int MaxDimensions = 4;

    // One for every layer, and no model has more.
    private const int MaxKeptNumbers = 512;
    private const string TokensKey = "tokenizer.ggml.tokens";

    private readonly Stream _stream;
    private readonly long _length;
    private readonly bool _full;
    private long _position;
    private string? _duplicateToken;

    private GgufReader(Stream stream, bool full)
    {
        _stream = stream;
        _length = stream.Length;
        _full = full;
    }

    /// <param name="full">Also looks at every token text; slower, done once before a model is loaded.</param>
    public static GgufHeader Read(string path, bool full = false)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 128 * 1024);
            return Read(file, full);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new GgufException("The file cannot be read.", exception);
        }
    }

    public static GgufHeader Read(Stream stream, bool full = false) => new GgufReader(stream, full).ReadHeader();

    private GgufHeader ReadHeader()
    {
        if (ReadUInt32() != Magic)
            throw new GgufException("The file is not in GGUF format.");
        if (ReadUInt32() is var version and not (2 or 3))
            throw new GgufException($"GGUF version {version} is not supported.");

        var tensorCount = ReadCount("tensors", MaxTensors);
        var metadataCount = ReadCount("metadata entries", MaxMetadata);

        var metadata = new Dictionary<string, object>(StringComparer.Ordinal);
        for (var i = 0; i < metadataCount; i++)
        {
            var key = ReadString(MaxNameBytes);
            if (!metadata.TryAdd(key, ReadValue(ReadType(), key)))
                throw new GgufException("A metadata key occurs twice.");
        }

        var tensors = new List<GgufTensor>();
        for (var i = 0; i < tensorCount; i++)
            tensors.Add(ReadTensor());

        var alignment = metadata.GetValueOrDefault("general.alignment") is long declared ? declared : 32;
        if (alignment is < 1 or > 65_536 || (alignment & (alignment - 1)) != 0)
            throw new GgufException("The tensor alignment is not a power of two.");

        return new GgufHeader
        {
            Metadata = metadata,
            Tensors = tensors,
            DataStart = (_position + alignment - 1) / alignment * alignment,
            FileLength = _length,
            DuplicateToken = _duplicateToken,
        };
    }

    private GgufTensor ReadTensor()
    {
        var name = ReadString(MaxNameBytes);
        var dimensions = ReadUInt32();
        if (dimensions is < 1 or > MaxDimensions)
            throw new GgufException($"A tensor has {dimensions} dimensions.");

        var elements = 1L;
        var columns = 0L;
        for (var i = 0; i < dimensions; i++)
        {
            var size = ReadInt64();
            if (size < 1 || size > long.MaxValue / elements)
                throw new GgufException("A tensor's shape is impossible.");
            elements *= size;
            columns = i == 0 ? size : columns;
        }

        return new GgufTensor(name, elements, (int)ReadUInt32(), (ulong)ReadInt64(), columns);
    }

    private object ReadValue(GgufType type, string key) => type switch
    {
        GgufType.String => ReadString(MaxStringBytes),
        GgufType.Array => ReadArray(key),
        GgufType.Float32 => (double)BitConverter.UInt32BitsToSingle(ReadUInt32()),
        GgufType.Float64 => BitConverter.Int64BitsToDouble(ReadInt64()),
        GgufType.Bool => ReadBytes(1)[0] != 0,
        GgufType.UInt8 => (long)ReadBytes(1)[0],
        GgufType.Int8 => (long)(sbyte)ReadBytes(1)[0],
        GgufType.UInt16 => (long)BinaryPrimitives.ReadUInt16LittleEndian(ReadBytes(2)),
        GgufType.Int16 => (long)BinaryPrimitives.ReadInt16LittleEndian(ReadBytes(2)),
        GgufType.UInt32 => (long)ReadUInt32(),
        GgufType.Int32 => (long)(int)ReadUInt32(),
        _ => ReadInt64(),
    };

    private GgufArray ReadArray(string key)
    {
        var type = ReadType();
        if (type == GgufType.Array)
            throw new GgufException("Nested arrays are not part of the format.");

        var count = ReadCount("array elements", MaxArrayElements);
        if (type != GgufType.String)
        {
            if (count <= MaxKeptNumbers && type is not (GgufType.Float32 or GgufType.Float64))
                return new GgufArray(type, count, ReadNumbers(type, (int)count, key));
            Skip(count * WidthOf(type));
            return new GgufArray(type, count);
        }

        var seen = _full && key == TokensKey ? new HashSet<string>(StringComparer.Ordinal) : null;
        for (var i = 0L; i < count; i++)
        {
            if (seen is null)
                Skip(ReadCount("bytes of a string", MaxStringBytes));
            else if (ReadString(MaxNameBytes) is var token && !seen.Add(token))
                _duplicateToken ??= token;
        }

        return new GgufArray(type, count);
    }

    private List<long> ReadNumbers(GgufType type, int count, string key)
    {
        var numbers = new List<long>(count);
        for (var i = 0; i < count; i++)
            numbers.Add(ReadValue(type, key) switch { long number => number, bool value => value ? 1 : 0, _ => 0 });
        return numbers;
    }

    private GgufType ReadType()
    {
        var type = ReadUInt32();
        return type <= (uint)GgufType.Float64 ? (GgufType)type : throw new GgufException($"Metadata type {type} is unknown.");
    }

    private static int WidthOf(GgufType type) => type switch
    {
        GgufType.UInt8 or GgufType.Int8 or GgufType.Bool => 1,
        GgufType.UInt16 or GgufType.Int16 => 2,
        GgufType.UInt32 or GgufType.Int32 or GgufType.Float32 => 4,
        _ => 8,
    };

    private long ReadCount(string what, long limit)
    {
        var count = ReadInt64();
        if (count < 0 || count > limit || count > _length)
            throw new GgufException($"The file claims an impossible number of {what}.");
        return count;
    }

    private string ReadString(int limit) => Encoding.UTF8.GetString(ReadBytes((int)ReadCount("bytes of a string", limit)));

    private uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(ReadBytes(4));

    private long ReadInt64() => BinaryPrimitives.ReadInt64LittleEndian(ReadBytes(8));

    private byte[] ReadBytes(int count)
    {
        Take(count);
        var bytes = new byte[count];
        _stream.ReadExactly(bytes);
        return bytes;
    }

    private void Skip(long count)
    {
        Take(count);
        _stream.Seek(count, SeekOrigin.Current);
    }

    private void Take(long count)
    {
        if (count > _length - _position)
            throw new GgufException("The file ends in the middle of its header.");
        _position += count;
    }
}
