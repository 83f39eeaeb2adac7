namespace Fleet.Models;

/// <summary>A LoRA adapter with random weights for a <see cref="LlamaModel"/>: changes what the model says, means nothing.</summary>
public sealed record LoraAdapter(LlamaModel Base)
{
    public int Rank { get; init; } = 4;

    public ulong Seed { get; init; } = 77;

    public string Architecture { get; init; } = "llama";

    public void Save(string path) => Build().Save(path);

    public GgufWriter Build()
    {
        var file = new GgufWriter()
            .Set("general.type", "adapter").Set("general.architecture", Architecture).Set("adapter.type", "lora").Set("adapter.lora.alpha", 8f);
        var weights = new SeededWeights(Seed);
        for (var layer = 0; layer < Base.Layers; layer++)
        {
            foreach (var projection in (string[])["attn_q", "attn_output"])
            {
                file.Tensor($"blk.{layer}.{projection}.weight.lora_a", weights.Gaussian((long)Base.Width * Rank, 0.3f), Base.Width, Rank);
                file.Tensor($"blk.{layer}.{projection}.weight.lora_b", weights.Gaussian((long)Rank * Base.Width, 0.3f), Rank, Base.Width);
            }
        }

        return file;
    }
}
