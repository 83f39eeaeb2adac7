using System.Diagnostics;

namespace Fleet.ServiceDefaults.Messaging;

internal static class MessagingTelemetry
{
    public static readonly ActivitySource Source = new("Fleet.Messaging");
}
