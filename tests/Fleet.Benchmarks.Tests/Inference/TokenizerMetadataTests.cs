using Fleet.Benchmarks.Inference;
using Fleet.Models;

namespace Fleet.Benchmarks.Tests.Inference;

public sealed class TokenizerMetadataTests
{
    [Fact]
    public void Read_CopiesTheTokenizerAndNothingElse()
    {
        var path = Path.GetTempFileName();
        var copy = Path.GetTempFileName();
        try
        {
            new GgufWriter().Set("general.name", "x").Set("tokenizer.ggml.tokens", ["a", "안녕", ""]).Set("tokenizer.ggml.scores", [1f, 2f])
                .Set("other", [1, 2]).Set("tokenizer.ggml.add_bos_token", true).Set("tokenizer.ggml.eos_token_id", 2u).Save(path);

            var read = TokenizerMetadata.Read(path);

            Assert.Equal(3, read.Tokens);
            Assert.Equal(["tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.eos_token_id"], read.Entries.Select(entry => entry.Key));
            var written = new GgufWriter();
            foreach (var (key, value) in read.Entries)
                written.SetRaw(key, value);
            written.Save(copy);
            Assert.Equal(read.Entries.Select(entry => Convert.ToHexString(entry.Value)), TokenizerMetadata.Read(copy).Entries.Select(entry => Convert.ToHexString(entry.Value)));
        }
        finally
        {
            File.Delete(path);
            File.Delete(copy);
        }
    }
}
