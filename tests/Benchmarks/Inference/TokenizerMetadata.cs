using System.Text;

namespace Fleet.Benchmarks.Inference;

/// <summary>The tokenizer entries of a GGUF file that we trust (llama.cpp's own), each as the bytes that stand after its key.</summary>
internal sealed record TokenizerMetadata(IReadOnlyList<(string Key, byte[] Value)> Entries, int Tokens)
{
    private const string Prefix = "tokenizer.";
    private const string TokensKey = "tokenizer.ggml.tokens";
    private const int TypeString = 8;
    private const int TypeArray = 9;

    // By GGUF type number; 0 for the two of varying size.
    private static readonly int[] Sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

    public static TokenizerMetadata Read(string path)
    {
        var file = File.ReadAllBytes(path);
        var position = 8; // magic and version
        position += 8; // tensors: a vocabulary has none
        var count = BitConverter.ToInt64(file, position);
        position += 8;
        var entries = new List<(string, byte[])>();
        var tokens = 0;
        for (var i = 0L; i < count; i++)
        {
            var length = (int)BitConverter.ToInt64(file, position);
            var key = Encoding.UTF8.GetString(file, position + 8, length);
            position += 8 + length;
            var start = position;
            var type = BitConverter.ToInt32(file, position);
            position += 4;
            if (type == TypeArray)
            {
                var element = BitConverter.ToInt32(file, position);
                var elements = BitConverter.ToInt64(file, position + 4);
                position += 12;
                for (var e = 0L; e < elements; e++)
                    position += Size(file, element, position);
                if (key == TokensKey)
                    tokens = (int)elements;
            }
            else
            {
                position += Size(file, type, position);
            }

            if (key.StartsWith(Prefix, StringComparison.Ordinal))
                entries.Add((key, file[start..position]));
        }

        return new TokenizerMetadata(entries, tokens);
    }

    private static int Size(byte[] file, int type, int position) =>
        type == TypeString ? 8 + (int)BitConverter.ToInt64(file, position) : Sizes[type];
}
