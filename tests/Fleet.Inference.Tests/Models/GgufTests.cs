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

    [Theory]
    [InlineData("llama.attention.head_count", 0u, "attention heads")]
    [InlineData("llama.attention.head_count", 1_000_000u, "attention heads")]
    [InlineData("llama.attention.head_count_kv", 70_000u, "keys and values")]
    [InlineData("llama.context_length", 0u, "context")]
    [InlineData("llama.embedding_length", 4_000_000_000u, "dimensions")]
    [InlineData("llama.rope.dimension_count", 70_000u, "rotated")]
    [InlineData("tokenizer.ggml.bos_token_id", 512u, "bos")]
    [InlineData("tokenizer.ggml.eos_token_id", 4_000_000_000u, "eos")]
    public void Validate_NumbersNoModelHas_AreRefused(string key, uint value, string reason) =>
        Assert.Contains(reason, Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(Replace(Tiny, key, value)))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("llama.expert_count", 2000u, "experts")]
    [InlineData("llama.expert_count", 8u, "experts used")]
    [InlineData("llama.expert_used_count", 2u, "experts used")]
    [InlineData("llama.expert_group_count", 2u, "groups")]
    [InlineData("llama.nextn_predict_layers", 2u, "predict")]
    [InlineData("llama.attention.key_length", 1_000_000u, "head")]
    public void Validate_WhatLlamaCppAsserts_IsRefused(string key, uint value, string reason) =>
        Assert.Contains(reason, Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(LlamaModel.Tiny.Build().Set(key, value).ToArray()))).Message, StringComparison.Ordinal);

    [Fact]
    public void Validate_NumbersPerLayer_MustBeThereForEach()
    {
        Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(LlamaModel.Tiny.Build().Set("llama.feed_forward_lengths", 1u).Set("llama.expert_feed", 1u)
            .Set("llama.attention.key_length_swa", 1_000_000u).ToArray())));
        var few = new GgufWriter().Set("general.architecture", "x").Set("x.block_count", 3u).Set("x.context_length", 10u).Set("x.embedding_length", 10u)
            .Set("x.attention.head_count", (int[])[1, 1]).Tensor("a", new float[4], 4).ToArray();
        Assert.Contains("each of the 3 layers", Assert.Throws<GgufException>(() => GgufValidator.Validate(Read(few))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ValidateAdapter_OfAnotherArchitectureOrNone_IsRefused()
    {
        var adapter = Read(new LoraAdapter(LlamaModel.Tiny).Build().ToArray());

        GgufValidator.ValidateAdapter(adapter, "llama");
        Assert.Contains("made for llama", Assert.Throws<GgufException>(() => GgufValidator.ValidateAdapter(adapter, "qwen2")).Message, StringComparison.Ordinal);
        Assert.Throws<GgufException>(() => GgufValidator.ValidateAdapter(Read(Tiny), "llama"));
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
