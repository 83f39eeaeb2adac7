using System.Security.Cryptography;
using System.Text;
using Fleet.Models;
using Fleet.Provisioning;
using Fleet.Provisioning.Native;
using Fleet.Provisioning.Processes;

namespace Fleet.Benchmarks.Inference;

/// <summary>The dimensions of a Qwen2 model.</summary>
internal sealed record ModelShape(string Name, int Layers, int Width, int FeedForward, int Heads, int KeyValueHeads)
{
    /// <summary>Qwen2.5-0.5B: what speed is measured with.</summary>
    public static ModelShape Real { get; } = new("qwen2-0.5b", 24, 896, 4864, 14, 2);

    /// <summary>A thousand requests in a minute: for what is about correctness, and to try the benchmark itself.</summary>
    public static ModelShape Small { get; } = new("qwen2-small", 4, 128, 256, 2, 1);
}

/// <summary>
/// A model that costs what a real one of its shape costs, with the family's own vocabulary of 151,936 tokens, and random weights. It is
/// good for speed, and for nothing that depends on what is said.
/// </summary>
internal sealed record BenchmarkModel(string Path, string Sha256)
{
    /// <summary>Ids below this are ordinary tokens of the vocabulary; above lie control tokens and padding.</summary>
    public const int OrdinaryTokens = 140_000;

    private const int Context = 32_768;
    private const float Deviation = 0.02f;
    private const string Quantisation = "Q4_0";

    // Counted up when what is written changes.
    private const string Recipe = "1";

    public static BenchmarkModel At(string path) => new(path, Hash(path));

    /// <summary>Written and quantised once per machine; its name says what it was made of.</summary>
    public static async Task<BenchmarkModel> EnsureAsync(
        string cacheDirectory, ModelShape shape, ReferenceServer reference, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var source = await new LlamaSource(cacheDirectory).EnsureAsync(progress, cancellationToken);
        var directory = System.IO.Path.Combine(cacheDirectory, "benchmarks");
        var path = System.IO.Path.Combine(directory, $"{shape.Name}-random-{Name(shape, source)}-q4_0.gguf");
        if (File.Exists(path))
            return At(path);
        using var held = await FileLock.AcquireAsync(
            System.IO.Path.Combine(directory, "model.lock"), () => progress.Report("Another run is writing the benchmark model; waiting for it"), cancellationToken);
        if (File.Exists(path))
            return At(path);

        progress.Report($"Writing the benchmark model {shape.Name} (once per machine)");
        var whole = path + ".f16.partial";
        var quantised = path + ".partial";
        Write(shape, System.IO.Path.Combine(source, "models", "ggml-vocab-qwen2.gguf"), whole);
        var result = await Tool.RunAsync(reference.Quantize, [whole, quantised, Quantisation], cancellationToken);
        File.Delete(whole);
        if (!result.Succeeded)
            throw new BenchmarkException($"llama-quantize failed:\n{result.Tail()}");
        File.Move(quantised, path);
        return At(path);
    }

    internal static void Write(ModelShape shape, string vocabularyFile, string path)
    {
        var (name, layers, width, feedForward, heads, keyValueHeads) = shape;
        var file = new GgufWriter()
            .Set("general.architecture", "qwen2").Set("general.name", $"{name} with random weights").Set("general.file_type", 1u)
            .Set("qwen2.block_count", (uint)layers).Set("qwen2.context_length", (uint)Context).Set("qwen2.embedding_length", (uint)width)
            .Set("qwen2.feed_forward_length", (uint)feedForward).Set("qwen2.attention.head_count", (uint)heads)
            .Set("qwen2.attention.head_count_kv", (uint)keyValueHeads).Set("qwen2.rope.freq_base", 1_000_000f)
            .Set("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
        var vocabulary = TokenizerMetadata.Read(vocabularyFile);
        foreach (var (key, value) in vocabulary.Entries)
            file.SetRaw(key, value);

        var keyValueWidth = width / heads * keyValueHeads;
        var weights = new WeightTable();
        Matrix("token_embd.weight", width, vocabulary.Tokens);
        Vector("output_norm.weight", width, 1);
        for (var layer = 0; layer < layers; layer++)
        {
            var block = $"blk.{layer}.";
            Vector(block + "attn_norm.weight", width, 1);
            Vector(block + "ffn_norm.weight", width, 1);
            Matrix(block + "attn_q.weight", width, width);
            Matrix(block + "attn_k.weight", width, keyValueWidth);
            Matrix(block + "attn_v.weight", width, keyValueWidth);
            Matrix(block + "attn_output.weight", width, width);
            Vector(block + "attn_q.bias", width, 0);
            Vector(block + "attn_k.bias", keyValueWidth, 0);
            Vector(block + "attn_v.bias", keyValueWidth, 0);
            Matrix(block + "ffn_gate.weight", width, feedForward);
            Matrix(block + "ffn_up.weight", width, feedForward);
            Matrix(block + "ffn_down.weight", feedForward, width);
        }

        file.Save(path);

        void Matrix(string tensor, int columns, int rows) => file.HalfTensor(tensor, () => weights.Next((long)columns * rows), columns, rows);

        void Vector(string tensor, int size, float value)
        {
            var values = new float[size];
            Array.Fill(values, value);
            file.Tensor(tensor, values, size);
        }
    }

    private static string Name(ModelShape shape, string source) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        $"{Recipe}|{System.IO.Path.GetFileName(source)}|{shape}|{Context}|{Deviation}|{Quantisation}")))[..12];

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
