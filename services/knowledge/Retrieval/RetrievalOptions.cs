using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Retrieval;

public sealed class RetrievalOptions
{
    public const string SectionName = "Knowledge:Retrieval";

    /// <summary>Passages each retriever contributes to the fusion; at least twice what is asked for is taken.</summary>
    [Range(10, 1000)]
    public int Candidates { get; set; } = 60;

    /// <summary>How long a search waits for the question's embedding; hybrid search then goes on without vectors.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan EmbeddingTimeout { get; set; } = TimeSpan.FromSeconds(3);
}

[OptionsValidator]
internal sealed partial class RetrievalOptionsValidator : IValidateOptions<RetrievalOptions>;
