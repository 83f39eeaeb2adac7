using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Fleet.Inference.Native;
using Microsoft.Extensions.Options;

namespace Fleet.Inference.Models;

/// <summary>
/// Has a model file opened by a process of its own before this one opens it: what passes every check in C# and still ends llama.cpp ends only
/// that process. The verdict is kept beside the models (.checks) and holds until the file or the library changes. Thread-safe.
/// </summary>
internal sealed partial class ModelCheck(NativeLibraries native, IOptions<ModelCheckOptions> options, IOptions<NativeOptions> nativeOptions, ILogger<ModelCheck> logger)
{
    private const string Folder = ".checks";

    private readonly ConcurrentDictionary<string, Verdict> _verdicts = new(StringComparer.Ordinal);

    /// <summary>Blocks while the other process works. Throws <see cref="GgufException"/> when the file must not be opened here.</summary>
    public void Require(string path, CancellationToken cancellationToken)
    {
        if (!options.Value.Enabled)
            return;

        var identity = Identity.Of(path, native.Version ?? "");
        if (Remembered(path, identity) is not { } verdict)
        {
            if (Check(path, cancellationToken) is not { } reason)
                return;

            verdict = new Verdict(identity, reason);
            Remember(path, verdict);
        }

        if (verdict.Problem.Length > 0)
            throw new GgufException(verdict.Problem);
    }

    /// <summary>Null: could not be found out. Empty: fit to be opened. Else what is wrong.</summary>
    private string? Check(string path, CancellationToken cancellationToken)
    {
        var lines = new ConcurrentQueue<string>();
        using var process = Start(path, lines);
        if (process is null)
        {
            Log.NotChecked(logger, path);
            return null;
        }

        var limit = options.Value.Timeout + TimeSpan.FromSeconds(new FileInfo(path).Length / (50 << 20));
        var ended = Wait(process, limit, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();

        // Not a verdict to keep: a slow disk or a small limit may be better next time.
        if (ended is { } why)
            throw new GgufException($"Opening the file {why}; it is refused.");
        if (lines.Contains(ModelCheckProcess.Passed))
            return "";
        if (lines.FirstOrDefault(line => line.StartsWith(ModelCheckProcess.Refused, StringComparison.Ordinal)) is { } refused)
            return refused[ModelCheckProcess.Refused.Length..];
        if (lines.Contains(ModelCheckProcess.Opening))
        {
            Log.Crashed(logger, path, process.ExitCode);
            return $"This file crashes llama.cpp (the process that tried it ended with {process.ExitCode.ToString(CultureInfo.InvariantCulture)}); it is refused.";
        }

        Log.NotChecked(logger, path);
        return null;
    }

    private string? Wait(Process process, TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            while (!process.WaitForExit(TimeSpan.FromMilliseconds(50)))
            {
                if (cancellationToken.IsCancellationRequested)
                    return "was cancelled";
                if (Stopwatch.GetElapsedTime(started) > limit)
                    return $"took longer than {limit.TotalSeconds:F0} s";
                if (PrivateBytes(process.Id) > options.Value.MemoryBytes)
                    return $"took more than {options.Value.MemoryBytes >> 20} MiB of memory";
            }

            // Lets the last lines of its output arrive.
            process.WaitForExit();
            return null;
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }
        }
    }

    /// <param name="said">Gets what the process says: a few lines. The library's own words go to its standard error, which nobody reads.</param>
    private Process? Start(string path, ConcurrentQueue<string> said)
    {
        var assembly = typeof(ModelCheck).Assembly.Location;
        var own = Environment.ProcessPath;
        var start = new ProcessStartInfo { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, UseShellExecute = false };
        if (own is not null && Path.GetFileNameWithoutExtension(own) == Path.GetFileNameWithoutExtension(assembly))
        {
            start.FileName = own;
        }
        else
        {
            start.FileName = own is not null && Path.GetFileName(own) == "dotnet" ? own : Path.ChangeExtension(assembly, null);
            if (start.FileName == own)
                start.ArgumentList.Add(assembly);
        }

        foreach (var argument in (string[])[ModelCheckProcess.Argument, path, nativeOptions.Value.NativeLibraryDirectory])
            start.ArgumentList.Add(argument);
        start.Environment["GGML_NO_BACKTRACE"] = "1";
        start.Environment["CUDA_VISIBLE_DEVICES"] = "";
        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        start.Environment["DOTNET_gcServer"] = "0";
        // No telemetry, no hosting: it must not look like the service to anybody.
        start.Environment.Remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        try
        {
            var process = Process.Start(start);
            process?.ErrorDataReceived += (_, _) => { };
            process?.BeginErrorReadLine();
            process?.OutputDataReceived += (_, line) =>
            {
                if (line.Data?.Trim() is { Length: > 0 } text)
                    said.Enqueue(text);
            };
            process?.BeginOutputReadLine();
            return process;
        }
        catch (Exception exception) when (exception is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            Log.NotStarted(logger, exception, start.FileName);
            return null;
        }
    }

    // Mapped weights are not counted: the kernel takes them back.
    private static long PrivateBytes(int process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
            return line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var number, ..] && long.TryParse(number, out var kilobytes) ? kilobytes * 1024 : 0;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private Verdict? Remembered(string path, Identity identity)
    {
        if (_verdicts.TryGetValue(path, out var known) && known.File == identity)
            return known;
        try
        {
            var stored = JsonSerializer.Deserialize<Verdict>(File.ReadAllText(StoreOf(path)));
            return stored?.File == identity ? _verdicts[path] = stored : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private void Remember(string path, Verdict verdict)
    {
        _verdicts[path] = verdict;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(StoreOf(path))!);
            File.WriteAllText(StoreOf(path), JsonSerializer.Serialize(verdict));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A read-only models directory: asked again after the next start.
        }
    }

    private static string StoreOf(string path) => Path.Combine(Path.GetDirectoryName(path)!, Folder, Path.GetFileName(path) + ".json");

    internal sealed record Identity(long Bytes, long ModifiedTicks, string Library)
    {
        public static Identity Of(string path, string library)
        {
            var file = new FileInfo(path);
            return new Identity(file.Length, file.LastWriteTimeUtc.Ticks, library);
        }
    }

    /// <param name="Problem">Empty: fit to be opened.</param>
    internal sealed record Verdict(Identity File, string Problem);

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The file {Path} crashed the process that checked it, exit code {ExitCode}")]
        public static partial void Crashed(ILogger logger, string path, int exitCode);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The file {Path} could not be checked in a process of its own; it is opened on the strength of its header")]
        public static partial void NotChecked(ILogger logger, string path);

        [LoggerMessage(Level = LogLevel.Warning, Message = "{File} could not be started to check a model file")]
        public static partial void NotStarted(ILogger logger, Exception exception, string file);
    }
}
