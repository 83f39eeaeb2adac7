// A service for the orchestrator's tests: shows its environment, is ready when told, notes when it starts and stops.
using System.Text;

var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
var name = Environment.GetEnvironmentVariable("PROBE_NAME") ?? "probe";
var gate = Environment.GetEnvironmentVariable("PROBE_GATE");

app.MapGet("/health/ready", () => gate is null || File.Exists(gate) ? Results.Ok() : Results.StatusCode(StatusCodes.Status503ServiceUnavailable));
app.MapGet("/env", () => Environment.GetEnvironmentVariables());
app.MapGet("/pid", () => Environment.ProcessId);
app.Lifetime.ApplicationStarted.Register(() => Note("started"));
app.Lifetime.ApplicationStopped.Register(() => Note("stopped"));
app.Run();

void Note(string what)
{
    if (Environment.GetEnvironmentVariable("PROBE_JOURNAL") is not { Length: > 0 } journal)
        return;
    // One write, appended: several probes share the file.
    using var file = new FileStream(journal, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1);
    file.Write(Encoding.UTF8.GetBytes($"{name} {what}\n"));
}
