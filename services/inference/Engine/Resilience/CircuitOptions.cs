using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Engine.Resilience;

/// <summary>When a model or an upstream that keeps failing is left alone, and how it comes back.</summary>
internal sealed class CircuitOptions
{
    public const string SectionName = "Inference:Circuits";

    /// <summary>Failures in a row that open a circuit. Default 5.</summary>
    [Range(1, 1000)]
    public int Failures { get; set; } = 5;

    /// <summary>How long an open circuit refuses before it lets trials through. Default one minute.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan OpenFor { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Trials in a row that must succeed before it closes; also how many may run at a time. One that fails opens it again. Default 3.</summary>
    [Range(1, 1000)]
    public int Successes { get; set; } = 3;
}

[OptionsValidator]
internal sealed partial class CircuitOptionsValidator : IValidateOptions<CircuitOptions>;
