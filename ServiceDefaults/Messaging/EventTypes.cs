using System.Collections.Frozen;
using System.Text.Json;
using Fleet.Contracts.Events;

namespace Fleet.ServiceDefaults.Messaging;

/// <summary>Event names as stored in the outbox and their records.</summary>
internal static class EventTypes
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    private static readonly FrozenDictionary<string, Type> ByName = typeof(IntegrationEvent).Assembly.GetTypes()
        .Where(type => type.IsSubclassOf(typeof(IntegrationEvent)) && !type.IsAbstract)
        .ToFrozenDictionary(type => type.Name, StringComparer.Ordinal);

    /// <exception cref="InvalidOperationException">Written by a newer version of the service than this one.</exception>
    public static Type Resolve(string name) => ByName.GetValueOrDefault(name)
        ?? throw new InvalidOperationException($"The outbox holds an event of unknown type {name}.");
}
