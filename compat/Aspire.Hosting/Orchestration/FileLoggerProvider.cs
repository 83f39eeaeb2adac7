using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Orchestration;

/// <summary>The application host's own log goes to a file: the terminal belongs to the status table.</summary>
[ProviderAlias("File")]
internal sealed class FileLoggerProvider(string path, TimeProvider time) : ILoggerProvider
{
    private readonly RollingLog _log = new(path);

    public ILogger CreateLogger(string categoryName) => new FileLogger(categoryName, _log, time);

    public void Dispose() => _log.Dispose();

    private sealed class FileLogger(string category, RollingLog log, TimeProvider time) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            var line = string.Create(CultureInfo.InvariantCulture, $"{time.GetUtcNow():O} {logLevel} {category}: {formatter(state, exception)}");
            log.WriteLine(exception is null ? line : $"{line}\n{exception}");
        }
    }
}
