namespace Fleet.Benchmarks.Inference;

/// <param name="Key">In <c>ratios</c>.</param>
/// <param name="Must">The release gate of performance.md §1.</param>
/// <param name="Ahead">The claim to make.</param>
internal sealed record Goal(string Row, string Key, string What, double Must, double Ahead)
{
    public static IReadOnlyList<Goal> All { get; } =
    [
        new("L1a", "streams_1", "output tokens/s, 1 stream", 1.00, 1.02),
        new("L1b", "streams_4", "output tokens/s, 4 streams", 1.00, 1.08),
        new("L1c", "streams_16", "output tokens/s, 16 streams", 1.05, 1.12),
        new("L1d", "streams_64", "output tokens/s, 64 streams", 1.05, 1.12),
        new("L1e", "ceiling_1", "decode speed against llama-batched-bench, 1 stream", 0.93, 0.97),
        new("L1e", "ceiling_4", "the same, 4 streams", 0.93, 0.97),
        new("L1e", "ceiling_16", "the same, 16 streams", 0.93, 0.97),
        new("L1e", "ceiling_64", "the same, 64 streams", 0.93, 0.97),
        new("L2a", "shared_prefix", "first token p50, 8 requests, warmed prefix of 1,024", 6, 10),
        new("L2b", "shared_prefix_cold", "the same, nothing warmed", 3, 5),
        new("L2c", "shared_prefix_cells", "KV cells of 16 such streams against separate ones", 6, 10),
        new("L3a", "prefill_stall", "longest pause of 3 streams during a 1,900-token prefill", 10, 20),
        new("L3b", "prefill_stall_tuned", "the same against the tuned server", 1.2, 2),
        new("L3c", "intruder_first_token", "first token of the long prompt", 0.85, 0.95),
        new("L4a", "hog_1", "tokens/s, 1 stream, 1 busy process beside", 1.2, 1.5),
        new("L4b", "hog_2", "tokens/s, 1 stream, 2 busy processes beside", 3, 10),
        new("L5", "goodput", "requests/s with p99 first token <= 2 s and p99 time per token <= 100 ms", 1.5, 2.5),
        new("L6", "turns", "first token p95 of turns 2-8, 32 conversations on 8 sequences", 1.3, 2),
        new("L8", "speculation", "tokens/s with speculation on against off, 1 stream", 1.2, 1.5),
        new("L8", "speculation_16", "the same, 16 streams: what guessing costs", 0.98, 1),
        new("L9", "restart", "first token after a restart with the prefix kept on disk, against computing it", 5, 15),
    ];
}
