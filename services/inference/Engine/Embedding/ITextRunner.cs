namespace Fleet.Inference.Engine.Embedding;

/// <summary>
/// A model that turns token sequences into a few numbers each: an embedding, or the outputs of a classification head. The seam between
/// batching and the native library. Members are read by anybody; <see cref="Run"/> and disposal belong to the <see cref="TextEngine"/>'s thread.
/// </summary>
internal interface ITextRunner : IDisposable
{
    /// <summary>Tokens of the longest text it can take.</summary>
    int MaxTokens { get; }

    /// <summary>Tokens worth computing together. A text longer than this is computed alone.</summary>
    int BatchTokens { get; }

    /// <summary>Texts that can be computed together.</summary>
    int BatchTexts { get; }

    /// <summary>
    /// Computes texts in one pass. A text's result does not depend on what else is in the batch (as far as floating point allows).
    /// </summary>
    /// <param name="texts">1 to <see cref="BatchTexts"/>, none empty, together at most <see cref="BatchTokens"/>; or one of at most <see cref="MaxTokens"/>.</param>
    /// <returns>New arrays, in the order of the texts.</returns>
    float[][] Run(IReadOnlyList<int[]> texts);
}
