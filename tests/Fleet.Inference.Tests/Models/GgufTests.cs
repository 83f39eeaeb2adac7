using System.Buffers.Binary;
using System.Text;
using Fleet.Inference.Models;
using Fleet.Models;

namespace Fleet.Inference.Tests.Models;

public sealed class GgufTests
{
    private static readonly byte[] Tiny = LlamaModel.Tiny.ToArray();

    [Fact]
    public void Read_GoodFile_DescribesIt()
    {
        var header = Read(Tiny);

        Assert.Equal("llama", header.Architecture);
        Assert.Equal(2048, header.OfArchitecture("context_length"));
        Assert.Equal(512, header.Array("tokenizer.ggml.tokens")?.Count);
        Assert.Contains("<|im_start|>", header.Text("tokenizer.chat_template"), StringComparison.Ordinal);
        Assert.True(header.Parameters > 100_000);
        GgufValidator.Validate(header);
        GgufValidator.Validate(Read(BertModel.Tiny.ToArray()));
    }

    [Fact]
    public void Read_TruncatedAnywhere_IsRefused()
    {
        for (var length = 0; length < Tiny.Length; length += length < 2000 ? 7 : 4999)
            Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(Tiny[..length])));
    }

    [Theory]
    [InlineData(0, 0x4C4C4C4Cu, "format")]
    [InlineData(4, 1u, "version")]
    [InlineData(4, 99u, "version")]
    public void Read_WrongMagicOrVersion_IsRefused(int offset, uint value, string reason)
    {
        var bytes = Tiny.ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(offset), value);

        Assert.Contains(reason, Assert.Throws<GgufException>(() => Read(bytes)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(8)] // tensors
    [InlineData(16)] // metadata entries
    [InlineData(24)] // length of the first key
    public void Read_AbsurdCounts_AreRefusedBeforeAnythingIsAllocated(int offset)
    {
        foreach (var count in (long[])[long.MaxValue, -1, int.MaxValue, 1_000_000_000])
        {
            var bytes = Tiny.ToArray();
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(offset), count);
            var before = GC.GetAllocatedBytesForCurrentThread();

            Assert.Throws<GgufException>(() => Read(bytes));

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
        }
    }

    [Fact]
    public void Read_RandomDamageToTheHeader_NeverDoesMoreThanRefuse()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var bytes = Tiny.ToArray();
            for (var i = 0; i < 5; i++)
                bytes[random.Next(12_000)] = (byte)random.Next(256);

            try
            {
                GgufValidator.Validate(Read(bytes));
            }
            catch (GgufException)
            {
                // Refused; any other exception fails the test.
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(513)]
    [InlineData(4_000_000_000)]
    public void Validate_LayersThatWouldAbort_AreRefused(uint layers)
    {
        var file = Replace(Tiny, "llama.block_count", layers);

        Assert.Contains("layers", Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(file))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_DuplicateTokens_AreRefused()
    {
        var at = Tiny.AsSpan().IndexOf("<unused500>"u8);
        var bytes = Tiny.ToArray();
        "<unused501>"u8.CopyTo(bytes.AsSpan(at));

        Assert.Contains("same text", Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(bytes))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_NoWeightsNoVocabularyOrAdapter_IsRefused()
    {
        Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(new GgufWriter().Set("general.architecture", "llama").ToArray())));
        Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(
            new GgufWriter().Set("general.architecture", "llama").Set("general.type", "adapter").Tensor("a", new float[4], 4).ToArray())));
    }

    [Fact]
    public void FromFile_TellsKinds()
    {
        var directory = Directory.CreateTempSubdirectory("fleet-gguf-").FullName;
        try
        {
            LlamaModel.Tiny.Save(Path.Combine(directory, "chat.gguf"));
            BertModel.Tiny.Save(Path.Combine(directory, "embed.gguf"));
            File.WriteAllText(Path.Combine(directory, "text.gguf"), "hello");

            Assert.Equal(ModelKind.Chat, ModelDescription.FromFile(new FileInfo(Path.Combine(directory, "chat.gguf"))).Kind);
            Assert.Equal((ModelKind.Embedding, 64), Described("embed.gguf"));
            Assert.NotNull(ModelDescription.FromFile(new FileInfo(Path.Combine(directory, "text.gguf"))).Problem);

            (ModelKind, int) Described(string file)
            {
                var model = ModelDescription.FromFile(new FileInfo(Path.Combine(directory, file)));
                return (model.Kind, model.Dimensions);
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static GgufHeader Read(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        return GgufReader.Read(stream, full: true);
    }

    private static byte[] Replace(byte[] file, string key, uint value)
    {
        var bytes = file.ToArray();
        var name = Encoding.UTF8.GetBytes(key);
        var at = bytes.AsSpan().IndexOf(name) + name.Length + sizeof(uint);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value);
        return bytes;
    }
}
