using System.Globalization;
using System.Text.Json;
using Fleet.Contracts.Inference.V1;

namespace Fleet.Chat.OpenAi;

/// <summary>The OpenAI API's sampling fields, and those of llama.cpp's server that its clients send beside them.</summary>
internal static class SamplingFields
{
    private const int MostBreakers = 32;

    public static SamplingParameters Read(OpenAiJson json)
    {
        var sampling = new SamplingParameters();
        if (json.Number("temperature", 0, 2) is { } temperature) sampling.Temperature = (float)temperature;
        if (json.Number("top_p", 0, 1) is { } topP) sampling.TopP = (float)topP;
        if (json.Number("frequency_penalty", -2, 2) is { } frequency) sampling.FrequencyPenalty = (float)frequency;
        if (json.Number("presence_penalty", -2, 2) is { } presence) sampling.PresencePenalty = (float)presence;
        // Any 64-bit seed is allowed there; ours has 32 bits.
        if (json.Integer("seed", long.MinValue, long.MaxValue) is { } seed) sampling.Seed = unchecked((uint)(seed ^ (seed >> 32)));
        ReadExtensions(json, sampling);
        ReadBias(json, sampling);
        return sampling;
    }

    private static void ReadExtensions(OpenAiJson json, SamplingParameters sampling)
    {
        if (json.Integer("top_k", 0, 1000) is { } topK) sampling.TopK = (int)topK;
        if (json.Number("min_p", 0, 1) is { } minP) sampling.MinP = (float)minP;
        if (json.Number("typical_p", 0, 1) is { } typicalP) sampling.TypicalP = (float)typicalP;
        if ((json.Number("repetition_penalty", 0.1, 10) ?? json.Number("repeat_penalty", 0.1, 10)) is { } repetition) sampling.RepetitionPenalty = (float)repetition;
        if (json.Integer("repeat_last_n", -1, 1_000_000) is { } lastN) sampling.PenaltyLastN = (int)lastN;
        if (json.Integer("mirostat", 0, 2) is { } mirostat) sampling.Mirostat = (int)mirostat;
        if (json.Number("mirostat_tau", 0, 100) is { } tau) sampling.MirostatTau = (float)tau;
        if (json.Number("mirostat_eta", 0, 1) is { } eta) sampling.MirostatEta = (float)eta;
        if (json.Number("dry_multiplier", 0, 100) is { } multiplier) sampling.DryMultiplier = (float)multiplier;
        if (json.Number("dry_base", 1, 10) is { } dryBase) sampling.DryBase = (float)dryBase;
        if (json.Integer("dry_allowed_length", 0, 10_000) is { } allowed) sampling.DryAllowedLength = (int)allowed;
        if (json.Integer("dry_penalty_last_n", -1, 1_000_000) is { } dryLastN) sampling.DryPenaltyLastN = (int)dryLastN;
        sampling.DrySequenceBreakers.AddRange(json.Strings("dry_sequence_breakers", MostBreakers));
        if (json.Number("xtc_probability", 0, 1) is { } probability) sampling.XtcProbability = (float)probability;
        if (json.Number("xtc_threshold", 0, 1) is { } threshold) sampling.XtcThreshold = (float)threshold;
    }

    private static void ReadBias(OpenAiJson json, SamplingParameters sampling)
    {
        if (!json.TryGet("logit_bias", out var bias)) return;
        if (bias.ValueKind != JsonValueKind.Object) throw OpenAiException.Invalid("logit_bias", "'logit_bias' must be an object.");
        foreach (var entry in bias.EnumerateObject())
        {
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var token)
                || entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetSingle(out var addend) || addend is < -100 or > 100)
            {
                throw OpenAiException.Invalid("logit_bias", "'logit_bias' must map token ids to numbers between -100 and 100.");
            }

            sampling.LogitBias[token] = addend;
        }
    }
}
