using Fleet.Chat.Sessions;

namespace Fleet.Chat.Runs;

/// <summary>One execution's state; its executor writes it, the heartbeat sets the two flags.</summary>
internal sealed class RunTurn(Run run, Message reply, RunProgress progress)
{
    private volatile bool _leaseLost;
    private volatile bool _stopRequested;

    public Run Run => run;
    public Message Reply => reply;
    public RunProgress Progress => progress;
    public List<Notice> Notices { get; } = [.. reply.Notices ?? []];
    public CitationReader Citations { get; set; } = new([]);

    /// <summary>stop or length; null while the engine has not finished.</summary>
    public string? Finish { get; set; }

    public bool LeaseLost { get => _leaseLost; set => _leaseLost = value; }
    public bool StopRequested { get => _stopRequested; set => _stopRequested = value; }
}
