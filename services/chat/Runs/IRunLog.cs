namespace Fleet.Chat.Runs;

/// <summary>
/// The events of runs, appended by the one executor that holds a run's lease and read by any number of views from any offset.
/// </summary>
internal interface IRunLog
{
    /// <summary>Adds the next event and wakes the readers. Appending a sequence number again changes nothing.</summary>
    ValueTask AppendAsync(Guid runId, RunEvent entry, CancellationToken cancellationToken);

    /// <summary>What is there already, oldest first; empty when the log is unknown or forgotten.</summary>
    ValueTask<IReadOnlyList<RunEvent>> SnapshotAsync(Guid runId, CancellationToken cancellationToken);

    /// <summary>
    /// Every event with a sequence number above <paramref name="after"/>, waiting for new ones, until the last event of the run.
    /// A run that has no events yet is waited for: the caller knows that it exists and is active.
    /// </summary>
    IAsyncEnumerable<RunEvent> ReadAsync(Guid runId, long after, CancellationToken cancellationToken);
}
