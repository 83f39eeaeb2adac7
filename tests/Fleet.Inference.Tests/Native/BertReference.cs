using Fleet.Models;

namespace Fleet.Inference.Tests.Native;

/// <summary>BERT's formula written out plainly in double precision: what the model computes, without llama.cpp.</summary>
internal sealed class BertReference(BertModel model)
{
    private readonly GgufWriter _weights = model.Build();

    /// <summary>Mean of the token vectors, length one.</summary>
    public double[] Embed(IReadOnlyList<int> tokens)
    {
        var states = Encode(tokens);
        var mean = Enumerable.Range(0, model.Width).Select(column => states.Average(state => state[column])).ToArray();
        var length = Math.Sqrt(mean.Sum(value => value * value));
        return [.. mean.Select(value => value / length)];
    }

    /// <summary>The classification head's outputs on the first token.</summary>
    public double[] Classify(IReadOnlyList<int> tokens)
    {
        var hidden = Linear("cls", Encode(tokens)[0]);
        return Linear("cls.output", [.. hidden.Select(Math.Tanh)]);
    }

    private double[][] Encode(IReadOnlyList<int> tokens)
    {
        var words = _weights.Values("token_embd.weight");
        var types = _weights.Values("token_types.weight");
        var positions = _weights.Values("position_embd.weight");
        var states = tokens.Select((token, position) => Norm("token_embd_norm",
            [.. Enumerable.Range(0, model.Width).Select(i => (double)words[token * model.Width + i] + types[i] + positions[position * model.Width + i])])).ToArray();
        for (var layer = 0; layer < model.Layers; layer++)
        {
            var name = $"blk.{layer}";
            var attended = Attend(name, states);
            states = [.. states.Select((state, i) =>
            {
                var middle = Norm($"{name}.attn_output_norm", Add(state, attended[i]));
                double[] wide = [.. Linear($"{name}.ffn_up", middle).Select(Gelu)];
                return Norm($"{name}.layer_output_norm", Add(middle, Linear($"{name}.ffn_down", wide)));
            })];
        }

        return states;
    }

    private double[][] Attend(string name, double[][] states)
    {
        var headWidth = model.Width / model.Heads;
        var (queries, keys, values) = (Project("attn_q"), Project("attn_k"), Project("attn_v"));
        return [.. queries.Select(query =>
        {
            var output = new double[model.Width];
            for (var head = 0; head < model.Heads; head++)
            {
                var at = head * headWidth;
                var weights = keys.Select(key => Math.Exp(Enumerable.Range(at, headWidth).Sum(i => query[i] * key[i]) / Math.Sqrt(headWidth))).ToArray();
                var sum = weights.Sum();
                for (var i = at; i < at + headWidth; i++)
                    output[i] = weights.Select((weight, position) => weight / sum * values[position][i]).Sum();
            }

            return Linear($"{name}.attn_output", output);
        })];

        double[][] Project(string projection) => [.. states.Select(state => Linear($"{name}.{projection}", state))];
    }

    private double[] Linear(string name, double[] input)
    {
        var (weight, bias) = (_weights.Values($"{name}.weight"), _weights.Values($"{name}.bias"));
        return [.. bias.Select((b, row) => b + input.Select((value, i) => value * weight[row * input.Length + i]).Sum())];
    }

    private double[] Norm(string name, double[] input)
    {
        var (weight, bias) = (_weights.Values($"{name}.weight"), _weights.Values($"{name}.bias"));
        var mean = input.Average();
        var deviation = Math.Sqrt(input.Average(value => (value - mean) * (value - mean)) + 1e-12);
        return [.. input.Select((value, i) => (value - mean) / deviation * weight[i] + bias[i])];
    }

    private static double[] Add(double[] left, double[] right) => [.. left.Zip(right, (a, b) => a + b)];

    private static double Gelu(double x) => 0.5 * x * (1 + Math.Tanh(0.79788456080286535588 * x * (1 + 0.044715 * x * x)));
}
