namespace Fleet.Inference.Models;

/// <summary>A LoRA adapter in the models directory, as a request names it.</summary>
internal sealed record AdapterDescription(string Id, string Path, long SizeBytes);
