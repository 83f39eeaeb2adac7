using Fleet.Analytics.Telemetry;
using Fleet.Analytics.Usage;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Analytics.Events;

internal sealed class ReplyFailedHandler(AnalyticsMetrics metrics) : IEventHandler<ReplyFailed>
{
    public async Task HandleAsync(ReplyFailed integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        var fact = new UsageFact(
            integrationEvent.RunId, integrationEvent.UserId, integrationEvent.Model, integrationEvent.OccurredAt, Failed: true, integrationEvent.ErrorType, Surface: "unknown",
            integrationEvent.PromptTokens, CachedTokens: 0, integrationEvent.CompletionTokens, Citations: 0, integrationEvent.Duration, TimeToFirstToken: null);

        metrics.FactRecorded(await UsageRecorder.RecordAsync(scope.Connection, scope.Transaction, fact, cancellationToken));
    }
}
