namespace Fleet.Inference.Scheduling;

internal enum SequenceStatus
{
    /// <summary>In the queue, without a slot.</summary>
    Waiting,

    /// <summary>In a slot; its prompt is not wholly computed.</summary>
    Prefill,

    /// <summary>In a slot; one token a step.</summary>
    Decode,

    /// <summary>Ended; its slot belongs to others.</summary>
    Finished,
}
