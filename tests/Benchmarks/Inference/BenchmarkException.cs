namespace Fleet.Benchmarks.Inference;

/// <summary>A row or the whole run cannot be measured; the message is for a person.</summary>
internal sealed class BenchmarkException(string message) : Exception(message);
