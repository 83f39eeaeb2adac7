using Fleet.Analytics.Telemetry;
using Fleet.Analytics.Usage;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults.Messaging;

namespace Fleet.Analytics.Events;

internal sealed class ReplyCompletedHandler(AnalyticsMetrics metrics) : IEventHandler<ReplyCompleted>
{
    public async Task HandleAsync(ReplyCompleted integrationEvent, EventScope scope, CancellationToken cancellationToken)
    {
        var fact = new UsageFact(
            integrationEvent.RunId, integrationEvent.UserId, integrationEvent.Model, integrationEvent.OccurredAt, Failed: false, integrationEvent.FinishReason, integrationEvent.Surface,
            integrationEvent.PromptTokens, integrationEvent.CachedTokens, integrationEvent.CompletionTokens, integrationEvent.Citations, integrationEvent.Duration, integrationEvent.TimeToFirstToken);

        metrics.FactRecorded(await UsageRecorder.RecordAsync(scope.Connection, scope.Transaction, fact, cancellationToken));
    }
}
