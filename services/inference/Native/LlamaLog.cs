using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Fleet.Inference.Native;

/// <summary>
/// Sends llama.cpp's log to ours and remembers the last error of each thread: the library returns NULL and says why only in its log.
/// Callbacks come on the thread that made the call.
/// </summary>
internal static unsafe partial class LlamaLog
{
    private const int Debug = 1;
    private const int Warning = 3;
    private const int Error = 4;
    private const int Continuation = 5;

    private static ILogger? _logger;

    [ThreadStatic]
    private static string? _lastError;

    [ThreadStatic]
    private static int _level;

    [ThreadStatic]
    private static Action<string>? _listener;

    public static void SendTo(ILogger logger)
    {
        Volatile.Write(ref _logger, logger);
        LlamaNative.llama_log_set(&OnMessage, null);
    }

    /// <summary>What this thread's last call complained about, and forgets it.</summary>
    public static string? TakeLastError()
    {
        var error = _lastError;
        _lastError = null;
        return error;
    }

    /// <summary>Hands on what calls of this thread say, beside the log; null ends it.</summary>
    public static void Listen(Action<string>? listener) => _listener = listener;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnMessage(int level, byte* text, void* data)
    {
        // An exception that left this method would end the process.
        try
        {
            if (level != Continuation)
                _level = level;
            if (_level <= Debug || text is null)
                return;

            var message = Marshal.PtrToStringUTF8((nint)text)?.Trim();
            if (string.IsNullOrEmpty(message) || message == ".")
                return;
            if (_level == Error)
                _lastError = message;
            _listener?.Invoke(message);
            if (Volatile.Read(ref _logger) is { } logger)
                Write(logger, _level, message);
        }
        catch (Exception)
        {
            // Losing a log line is the lesser evil.
        }
    }

    // The library calls ordinary news "info" by the hundred; to us they are debug output.
    private static void Write(ILogger logger, int level, string message)
    {
        if (level == Error)
            Log.NativeError(logger, message);
        else if (level == Warning)
            Log.NativeWarning(logger, message);
        else
            Log.NativeDebug(logger, message);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "llama.cpp: {Text}")]
        public static partial void NativeError(ILogger logger, string text);

        [LoggerMessage(Level = LogLevel.Information, Message = "llama.cpp: {Text}")]
        public static partial void NativeWarning(ILogger logger, string text);

        [LoggerMessage(Level = LogLevel.Debug, Message = "llama.cpp: {Text}")]
        public static partial void NativeDebug(ILogger logger, string text);
    }
}
