namespace Fleet.Inference.Scheduling;

/// <summary>
/// The model's memory as scheduling needs it: cells, each holding one position of one or more native sequences. Decode thread only.
/// </summary>
internal interface IKvCache
{
    /// <summary>Positions in all; in the separate layout every sequence has <see cref="Cells"/> / <see cref="Sequences"/> of its own.</summary>
    int Cells { get; }

    /// <summary>Native sequence ids: 0 to this, exclusive; 256 at most.</summary>
    int Sequences { get; }

    /// <summary>One pool in which sequences share cells; otherwise every sequence has its own and sharing copies.</summary>
    bool Unified { get; }

    /// <summary>
    /// Gives <paramref name="target"/>, which is empty, the positions 0 to <paramref name="count"/>, exclusive, of <paramref name="source"/>,
    /// which has at least as many and stays as it is.
    /// </summary>
    void Share(int source, int target, int count);

    /// <summary>Keeps the first <paramref name="count"/> positions, 0 = none; drafts after the known positions go too.</summary>
    void Truncate(int sequence, int count);
}
