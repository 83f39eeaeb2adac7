namespace Fleet.Inference.Scheduling;

internal enum AdmissionResult
{
    Accepted,

    /// <summary>As many wait as may wait.</summary>
    QueueFull,

    /// <summary>As many of this user's wait as may wait of one user.</summary>
    UserQueueFull,

    /// <summary>It would probably get its turn only after its deadline.</summary>
    DeadlineTooSoon,

    /// <summary>Its prompt can never fit.</summary>
    TooLong,

    /// <summary>The engine is stopping.</summary>
    Closed,
}

/// <summary>The queue's answer to a request, with what a refused caller needs to know.</summary>
/// <param name="Queued">Requests waiting; with <see cref="AdmissionResult.UserQueueFull"/> the user's.</param>
/// <param name="Running">Requests running.</param>
/// <param name="EstimatedWait">Until a request like this one, coming now, would get its turn.</param>
internal readonly record struct Admission(AdmissionResult Result, int Queued, int Running, TimeSpan EstimatedWait);

internal enum DropReason
{
    Cancelled,
    DeadlinePassed,

    /// <summary>It reached the end of what one sequence can hold.</summary>
    OutOfRoom,
}

internal readonly record struct DroppedSequence(Sequence Sequence, DropReason Reason);
