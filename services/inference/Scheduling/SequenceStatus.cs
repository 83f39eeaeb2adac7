namespace Fleet.Inference.Scheduling;

internal enum SequenceStatus
{
    /// <summary>In the queue, never admitted yet.</summary>
    Waiting,

    /// <summary>Admitted, but waits for another sequence that is computing the prefix both have; holds no cells.</summary>
    Held,

    /// <summary>Has a native sequence; its tokens are not wholly computed.</summary>
    Prefill,

    /// <summary>Has a native sequence; grows in every step.</summary>
    Decode,

    /// <summary>Back at the front of the queue; lost its native sequence to others and computes again what the cache does not keep.</summary>
    Preempted,

    /// <summary>Ended; holds nothing.</summary>
    Finished,
}
