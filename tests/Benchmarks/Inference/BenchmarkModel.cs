using System.Security.Cryptography;
using System.Text;
using Fleet.Models;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>
/// A model that costs what a real one costs: the shape of Qwen2.5-0.5B with that family's own vocabulary of 151,936 tokens, and random
/// weights. It is good for speed, and for nothing that depends on what is said.
/// </summary>
internal sealed record BenchmarkModel(string Path, string Sha256)
{
    /// <summary>Ids below this are ordinary tokens of the vocabulary; above lie control tokens and padding.</summary>
    public const int OrdinaryTokens = 140_000;

    private const int Layers = 24;
    private const int Width = 896;
    private const int FeedForward = 4864;
    private const int Heads = 14;
    private const int KeyValueHeads = 2;
    private const int Context = 32_768;
    private const float Deviation = 0.02f;
    private const string Quantisation = "Q4_0";

    // Counted up when what is written changes.
    private const string Recipe = "1";

    public static BenchmarkModel At(string path) => new(path, Hash(path));

    /// <summary>Written and quantised once per machine; its name says what it was made of.</summary>
    public static async Task<BenchmarkModel> EnsureAsync(
        string cacheDirectory, ReferenceServer reference, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var source = await new LlamaSource(cacheDirectory).EnsureAsync(progress, cancellationToken);
        var directory = System.IO.Path.Combine(cacheDirectory, "benchmarks");
        var path = System.IO.Path.Combine(directory, $"qwen2-0.5b-random-{Name(source)}-q4_0.gguf");
        if (File.Exists(path))
            return At(path);
        using var held = await FileLock.AcquireAsync(
            System.IO.Path.Combine(directory, "model.lock"), () => progress.Report("Another run is writing the benchmark model; waiting for it"), cancellationToken);
        if (File.Exists(path))
            return At(path);

        progress.Report("Writing the benchmark model (once per machine, 1.3 GB for a moment)");
        var whole = path + ".f16.partial";
        var quantised = path + ".partial";
        Write(System.IO.Path.Combine(source, "models", "ggml-vocab-qwen2.gguf"), whole);
        var result = await Tool.RunAsync(reference.Quantize, [whole, quantised, Quantisation], cancellationToken);
        File.Delete(whole);
        if (!result.Succeeded)
            throw new BenchmarkException($"llama-quantize failed:\n{result.Tail()}");
        File.Move(quantised, path);
        return At(path);
    }

    internal static void Write(string vocabularyFile, string path)
    {
        var file = new GgufWriter()
            .Set("general.architecture", "qwen2").Set("general.name", "random weights in the shape of Qwen2.5-0.5B").Set("general.file_type", 1u)
            .Set("qwen2.block_count", (uint)Layers).Set("qwen2.context_length", (uint)Context).Set("qwen2.embedding_length", (uint)Width)
            .Set("qwen2.feed_forward_length", (uint)FeedForward).Set("qwen2.attention.head_count", (uint)Heads)
            .Set("qwen2.attention.head_count_kv", (uint)KeyValueHeads).Set("qwen2.rope.freq_base", 1_000_000f)
            .Set("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
        var vocabulary = TokenizerMetadata.Read(vocabularyFile);
        foreach (var (key, value) in vocabulary.Entries)
            file.SetRaw(key, value);

        const int KeyValueWidth = Width / Heads * KeyValueHeads;
        var weights = new WeightTable();
        Matrix("token_embd.weight", Width, vocabulary.Tokens);
        Vector("output_norm.weight", Width, 1);
        for (var layer = 0; layer < Layers; layer++)
        {
            var block = $"blk.{layer}.";
            Vector(block + "attn_norm.weight", Width, 1);
            Vector(block + "ffn_norm.weight", Width, 1);
            Matrix(block + "attn_q.weight", Width, Width);
            Matrix(block + "attn_k.weight", Width, KeyValueWidth);
            Matrix(block + "attn_v.weight", Width, KeyValueWidth);
            Matrix(block + "attn_output.weight", Width, Width);
            Vector(block + "attn_q.bias", Width, 0);
            Vector(block + "attn_k.bias", KeyValueWidth, 0);
            Vector(block + "attn_v.bias", KeyValueWidth, 0);
            Matrix(block + "ffn_gate.weight", Width, FeedForward);
            Matrix(block + "ffn_up.weight", Width, FeedForward);
            Matrix(block + "ffn_down.weight", FeedForward, Width);
        }

        file.Save(path);

        void Matrix(string name, int columns, int rows) => file.HalfTensor(name, () => weights.Next((long)columns * rows), columns, rows);

        void Vector(string name, int size, float value)
        {
            var values = new float[size];
            Array.Fill(values, value);
            file.Tensor(name, values, size);
        }
    }

    private static string Name(string source) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        $"{Recipe}|{System.IO.Path.GetFileName(source)}|{Layers}|{Width}|{FeedForward}|{Heads}|{KeyValueHeads}|{Context}|{Deviation}|{Quantisation}")))[..12];

    private static string Hash(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>Half a billion normal numbers, drawn from a table of 65,536: quick, the same everywhere, and no kernel can tell.</summary>
    private sealed class WeightTable
    {
        private readonly Half[] _normal = new Half[65_536];
        private ulong _state = 1;

        public WeightTable()
        {
            var random = new Random(1);
            for (var i = 0; i < _normal.Length; i++)
                _normal[i] = (Half)(Deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        public Half[] Next(long count)
        {
            var values = new Half[count];
            for (var i = 0; i < values.Length; i++)
            {
                // Knuth's MMIX generator; the high bits are the random ones.
                _state = (_state * 6364136223846793005UL) + 1442695040888963407UL;
                values[i] = _normal[_state >> 48];
            }

            return values;
        }
    }
}
