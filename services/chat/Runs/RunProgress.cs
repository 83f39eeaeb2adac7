using System.Text;

namespace Fleet.Chat.Runs;

/// <summary>
/// A reply under way. Written by its executor only; the heartbeat reads it from another thread to checkpoint it, hence the lock.
/// </summary>
internal sealed class RunProgress(string text, long seq)
{
    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new(text);
    private int _checkpointed = text.Length;
    private long _seq = seq;

    public string Text
    {
        get
        {
            lock (_lock) return _text.ToString();
        }
    }

    public long Seq
    {
        get
        {
            lock (_lock) return _seq;
        }
    }

    /// <summary>Tokens of earlier attempts in other processes; counted by events, or estimated from the text where those are lost.</summary>
    public int EarlierTokens { get; init; }

    public string Model { get; set; } = "";
    public int PromptTokens { get; set; }
    public int CachedTokens { get; set; }
    public int CompletionTokens { get; set; }
    public TimeSpan? FirstToken { get; set; }

    public long NextSeq()
    {
        lock (_lock) return ++_seq;
    }

    public void Append(string delta)
    {
        lock (_lock) _text.Append(delta);
    }

    /// <summary>The text, or null when it is what the last call gave; with the sequence number that belongs to it.</summary>
    public (string? Text, long Seq) TakeCheckpoint()
    {
        lock (_lock)
        {
            if (_text.Length == _checkpointed) return (null, _seq);
            _checkpointed = _text.Length;
            return (_text.ToString(), _seq);
        }
    }
}
