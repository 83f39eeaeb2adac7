using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Orchestration;

/// <summary>The application host's own log: one line per entry, to a file where the terminal belongs to the status table.</summary>
[ProviderAlias("Host")]
internal sealed class HostLoggerProvider(Action<string> writeLine, IDisposable? target, TimeProvider time) : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => new HostLogger(categoryName, writeLine, time);

    public void Dispose() => target?.Dispose();

    private sealed class HostLogger(string category, Action<string> writeLine, TimeProvider time) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            var line = string.Create(CultureInfo.InvariantCulture, $"{time.GetUtcNow():O} {logLevel} {category}: {formatter(state, exception)}");
            writeLine(exception is null ? line : $"{line}\n{exception}");
        }
    }
}
