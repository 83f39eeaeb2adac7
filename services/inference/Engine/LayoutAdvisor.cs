using System.Collections.Concurrent;
using Fleet.Inference.Native;

namespace Fleet.Inference.Engine;

/// <summary>
/// Which layout the recent requests ask for. One cache shares prefixes and lets any sequence grow; separate parts are faster when many
/// private sequences run (306 against 94 tokens a second at 64 streams on two cores). Changed only while nothing runs. Decode thread only,
/// <see cref="Wants"/> and <see cref="Parked"/> excepted, which are used under the engine's lock.
/// </summary>
internal sealed class LayoutAdvisor(KvLayout? configured, bool canShare)
{
    // What one cache costs is small below this many sequences.
    private const int ManySequences = 16;
    private const int Recent = 64;
    private const double LittleShared = 0.1;
    private const double MuchShared = 0.3;

    private readonly Queue<(int Prompt, int Cached, int Running)> _recent = new();
    private bool _separate;

    /// <summary>Requests too long for their part of a separate cache, until it is one again.</summary>
    public ConcurrentQueue<Reply> Parked { get; } = new();

    /// <summary>The layout the cache shall be made anew with, once nothing runs; true = unified.</summary>
    public bool? Change { get; set; }

    public void Admitted(int promptTokens, int cachedTokens, int running)
    {
        _recent.Enqueue((promptTokens, cachedTokens, running));
        if (_recent.Count > Recent)
            _recent.Dequeue();
    }

    /// <summary>Nothing runs: the moment to think about it.</summary>
    public void Idle(bool unified, int cells, int maxRunning)
    {
        _separate = !unified;
        if (configured is not null || !canShare || Change is not null || _recent.Count < Recent / 2)
            return;

        var shared = (double)_recent.Sum(request => request.Cached) / Math.Max(1, _recent.Sum(request => request.Prompt));
        var busy = _recent.Count(request => request.Running > ManySequences) * 2 > _recent.Count;
        var fits = _recent.Max(request => request.Prompt) < cells / maxRunning * 3 / 4;
        bool? wanted = unified && busy && shared < LittleShared && fits ? false
            : !unified && (shared > MuchShared || !busy) ? true
            : null;
        if (wanted is null)
            return;
        Change = wanted;
        _recent.Clear();
    }

    /// <summary>Whether a request that does not fit its part fits the whole cache, which is then made one again.</summary>
    public bool Wants(int promptTokens, int contextTokens)
    {
        if (configured is not null || !_separate || promptTokens >= contextTokens)
            return false;
        Change = true;
        return true;
    }
}
