using System.Runtime.InteropServices;
using System.Text;

namespace Fleet.Models;

/// <summary>Writes GGUF version 3: metadata values, one-dimensional arrays, F32 and F16 tensors, in the order given.</summary>
public sealed class GgufWriter
{
    private const int Alignment = 32;
    private const int TypeUInt32 = 4;
    private const int TypeInt32 = 5;
    private const int TypeFloat32 = 6;
    private const int TypeBool = 7;
    private const int TypeString = 8;
    private const int TypeArray = 9;
    private const int TensorFloat32 = 0;
    private const int TensorFloat16 = 1;
    private const int TensorQ4 = 2;
    private const int TensorQ8 = 8;

    private readonly List<(string Key, Action<BinaryWriter> Write)> _metadata = [];
    private readonly List<(string Name, long[] Shape, int Type, long Bytes, Func<byte[]> Data)> _tensors = [];

    /// <summary>How the matrices among the F32 tensors are written; vectors stay as they are. Their rows are multiples of 32 long.</summary>
    public Quantisation Quantisation { get; set; }

    public GgufWriter Set(string key, uint value) => Add(key, writer =>
    {
        writer.Write(TypeUInt32);
        writer.Write(value);
    });

    public GgufWriter Set(string key, float value) => Add(key, writer =>
    {
        writer.Write(TypeFloat32);
        writer.Write(value);
    });

    public GgufWriter Set(string key, bool value) => Add(key, writer =>
    {
        writer.Write(TypeBool);
        writer.Write(value);
    });

    public GgufWriter Set(string key, string value) => Add(key, writer =>
    {
        writer.Write(TypeString);
        WriteString(writer, value);
    });

    public GgufWriter Set(string key, IReadOnlyCollection<string> values) => AddArray(key, TypeString, values, WriteString);

    public GgufWriter Set(string key, IReadOnlyCollection<float> values) => AddArray(key, TypeFloat32, values, (writer, value) => writer.Write(value));

    public GgufWriter Set(string key, IReadOnlyCollection<int> values) => AddArray(key, TypeInt32, values, (writer, value) => writer.Write(value));

    /// <param name="shape">The first dimension is the contiguous one, as ggml counts them.</param>
    public GgufWriter Tensor(string name, float[] data, params long[] shape)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(shape);
        if (shape.Aggregate(1L, (product, size) => product * size) != data.Length)
            throw new ArgumentException($"{name}: the shape does not hold {data.Length} values.", nameof(shape));

        var bytes = MemoryMarshal.AsBytes(data.AsSpan()).ToArray();
        _tensors.Add((name, shape, TensorFloat32, bytes.LongLength, () => bytes));
        return this;
    }

    /// <summary>A tensor of 16-bit floats whose values are asked for when the file is written: large ones need not be in memory together.</summary>
    public GgufWriter HalfTensor(string name, Func<Half[]> data, params long[] shape)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(shape);
        _tensors.Add((name, shape, TensorFloat16, shape.Aggregate(2L, (product, size) => product * size), () => MemoryMarshal.AsBytes(data().AsSpan()).ToArray()));
        return this;
    }

    /// <summary>A metadata value as another file holds it.</summary>
    /// <param name="value">Type and content, as they stand after the key.</param>
    public GgufWriter SetRaw(string key, byte[] value) => Add(key, writer => writer.Write(value));

    /// <summary>The values of a tensor that was added.</summary>
    public float[] Values(string name) => MemoryMarshal.Cast<byte, float>(_tensors.Find(tensor => tensor.Name == name).Data()).ToArray();

    public byte[] ToArray()
    {
        using var stream = new MemoryStream();
        WriteTo(stream);
        return stream.ToArray();
    }

    public void Save(string path)
    {
        using var file = File.Create(path);
        WriteTo(file);
    }

    private void WriteTo(Stream stream)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((long)_tensors.Count);
        writer.Write((long)_metadata.Count);
        foreach (var (key, write) in _metadata)
        {
            WriteString(writer, key);
            write(writer);
        }

        var tensors = _tensors.Select(Quantised).ToList();
        var offset = 0L;
        foreach (var (name, shape, type, bytes, _) in tensors)
        {
            WriteString(writer, name);
            writer.Write(shape.Length);
            foreach (var size in shape)
                writer.Write(size);
            writer.Write(type);
            writer.Write(offset);
            offset += (bytes + Alignment - 1) / Alignment * Alignment;
        }

        Pad(writer);
        foreach (var (name, _, _, bytes, data) in tensors)
        {
            var content = data();
            if (content.LongLength != bytes)
                throw new InvalidOperationException($"{name} does not fill its shape.");
            writer.Write(content);
            Pad(writer);
        }
    }

    private (string Name, long[] Shape, int Type, long Bytes, Func<byte[]> Data) Quantised((string Name, long[] Shape, int Type, long Bytes, Func<byte[]> Data) tensor)
    {
        if (Quantisation == Quantisation.None || tensor.Type != TensorFloat32 || tensor.Shape.Length < 2)
            return tensor;
        var blocks = tensor.Bytes / sizeof(float) / BlockQuantiser.BlockValues;
        return Quantisation == Quantisation.Q8
            ? (tensor.Name, tensor.Shape, TensorQ8, blocks * BlockQuantiser.Q8BlockBytes, () => BlockQuantiser.ToQ8(MemoryMarshal.Cast<byte, float>(tensor.Data())))
            : (tensor.Name, tensor.Shape, TensorQ4, blocks * BlockQuantiser.Q4BlockBytes, () => BlockQuantiser.ToQ4(MemoryMarshal.Cast<byte, float>(tensor.Data())));
    }

    private GgufWriter Add(string key, Action<BinaryWriter> write)
    {
        _metadata.Add((key, write));
        return this;
    }

    private GgufWriter AddArray<T>(string key, int elementType, IReadOnlyCollection<T> values, Action<BinaryWriter, T> write) => Add(key, writer =>
    {
        writer.Write(TypeArray);
        writer.Write(elementType);
        writer.Write((long)values.Count);
        foreach (var value in values)
            write(writer, value);
    });

    private static void WriteString(BinaryWriter writer, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        while (writer.BaseStream.Position % Alignment != 0)
            writer.Write((byte)0);
    }
}
