using System.Collections.Frozen;
using Fleet.Inference.Engine;

namespace Fleet.Inference.Models;

/// <summary>What a classification head's outputs mean: one is a logit of relevance; of several, one label stands for "relevant".</summary>
internal sealed class RelevanceHead
{
    private static readonly FrozenSet<string> PositiveLabels =
        new[] { "yes", "true", "relevant", "positive", "entailment", "label_1" }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    // llama.cpp applies softmax in these models' graphs; their outputs are probabilities.
    private static readonly FrozenSet<string> GivesProbabilities = new[] { "qwen3", "qwen3vl" }.ToFrozenSet(StringComparer.Ordinal);

    private readonly int _positive;
    private readonly bool _probabilities;

    private RelevanceHead(int positive, bool probabilities) => (_positive, _probabilities) = (positive, probabilities);

    /// <param name="labels">One per output; null where the file names none.</param>
    /// <exception cref="EngineException">There is no head, or it is not known which output means "relevant".</exception>
    public static RelevanceHead Of(GgufHeader header, IReadOnlyList<string?> labels)
    {
        // Without the final projection llama.cpp would hand out the first numbers of a hidden vector as scores.
        var projection = header.Architecture == "jina-bert-v2" ? "cls.weight" : "cls.output.weight";
        if (header.Tensors.All(tensor => tensor.Name != projection))
            throw new EngineException(EngineError.NotSupported, $"The file holds no classification head ({projection}); it cannot rerank.");

        var probabilities = GivesProbabilities.Contains(header.Architecture);
        if (labels.Count == 1)
        {
            // Softmax over one number is always 1.
            return probabilities
                ? throw new EngineException(EngineError.NotSupported, "The file's classification head has a single output, which this architecture cannot use.")
                : new RelevanceHead(0, probabilities: false);
        }

        var named = labels.Index().Where(label => label.Item is not null && PositiveLabels.Contains(label.Item)).Select(label => label.Index).ToList();
        return named.Count == 1
            ? new RelevanceHead(named[0], probabilities)
            : throw new EngineException(EngineError.NotSupported, $"None of the {labels.Count} outputs of the classification head is known to mean \"relevant\".");
    }

    /// <summary>Between 0 and 1.</summary>
    public double Score(float[] outputs)
    {
        var score = outputs.Length == 1 ? Sigmoid(outputs[0])
            : _probabilities ? outputs[_positive]
            : 1 / outputs.Sum(output => Math.Exp((double)output - outputs[_positive]));
        return double.IsFinite(score) ? Math.Clamp(score, 0, 1) : throw new EngineException(EngineError.Internal, "The model computed no score; its weights may be damaged.");
    }

    private static double Sigmoid(double logit) => 1 / (1 + Math.Exp(-logit));
}
