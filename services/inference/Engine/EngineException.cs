namespace Fleet.Inference.Engine;

internal enum EngineError
{
    /// <summary>The request can never succeed as it is.</summary>
    InvalidRequest,

    ModelNotFound,

    /// <summary>The model cannot do this: a generator asked to embed, a prompt longer than the context.</summary>
    NotSupported,

    QueueFull,

    /// <summary>The model is loading, being unloaded, or failed to load.</summary>
    Unavailable,

    /// <summary>The request's deadline passed before the reply was complete.</summary>
    DeadlineExceeded,

    /// <summary>The engine itself failed.</summary>
    Internal,
}

/// <summary>A request the engine did not fulfil, with the reason a caller can act on.</summary>
internal sealed class EngineException(EngineError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public EngineError Error { get; } = error;

    /// <summary>Set with <see cref="EngineError.QueueFull"/>.</summary>
    public int Queued { get; init; }

    /// <summary>Set with <see cref="EngineError.QueueFull"/>.</summary>
    public int Running { get; init; }

    /// <summary>When trying again may help; null when it will not.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>A remote provider's refusal or failure, not this process's.</summary>
    public bool Upstream { get; init; }
}
