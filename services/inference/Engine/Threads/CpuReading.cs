namespace Fleet.Inference.Engine.Threads;

/// <summary>What the machine's processors have done since it started, as far as this process may use them.</summary>
/// <param name="At">On a clock that only goes forward.</param>
/// <param name="Busy">Processor time of everybody, time the hypervisor took included.</param>
/// <param name="Own">Processor time of this process.</param>
internal readonly record struct CpuReading(TimeSpan At, TimeSpan Busy, TimeSpan Own);

/// <summary>Where readings come from; the decode thread asks between steps.</summary>
internal interface ICpuReader
{
    /// <summary>Processors this process may use, quota included; not always whole.</summary>
    double Cores { get; }

    /// <summary>Null where nothing can be read: the number of threads then follows step times alone.</summary>
    CpuReading? Read();
}
