using System.Reflection;
using System.Text.Json;
using Fleet.Contracts.Events;
using Xunit;

namespace Fleet.Contracts.Tests;

public sealed class EventSerializationTests
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static TheoryData<Type> EventTypes() => [.. typeof(IntegrationEvent).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(IntegrationEvent)) && !type.IsAbstract)];

    [Theory]
    [MemberData(nameof(EventTypes))]
    public void An_event_survives_the_broker(Type type)
    {
        var sample = Sample(type);

        var text = JsonSerializer.Serialize(sample, type, Json);
        var back = JsonSerializer.Deserialize(text, type, Json);

        Assert.Equal(sample, back);
    }

    [Theory]
    [MemberData(nameof(EventTypes))]
    public void A_property_of_a_newer_version_is_ignored(Type type)
    {
        var text = JsonSerializer.Serialize(Sample(type), type, Json);

        var back = JsonSerializer.Deserialize(text[..^1] + ",\"addedLater\":{\"a\":1}}", type, Json);

        Assert.NotNull(back);
    }

    [Theory]
    [MemberData(nameof(EventTypes))]
    public void An_event_is_a_sealed_record_in_the_past_tense(Type type)
    {
        Assert.True(type.IsSealed);
        Assert.Matches("(ed|In|Used|Given)$", type.Name);
    }

    private static object Sample(Type type)
    {
        var sample = Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite))
            property.SetValue(sample, Value(property.PropertyType));
        return sample;
    }

    private static object Value(Type type) => Nullable.GetUnderlyingType(type) is { } inner ? Value(inner) : type switch
    {
        _ when type == typeof(string) => "값 \"value\"",
        _ when type == typeof(Guid) => Guid.CreateVersion7(),
        _ when type == typeof(int) => 42,
        _ when type == typeof(long) => 42_000_000_000L,
        _ when type == typeof(TimeSpan) => TimeSpan.FromMilliseconds(1234.5),
        _ when type == typeof(DateTimeOffset) => new DateTimeOffset(2026, 11, 20, 1, 2, 3, TimeSpan.Zero),
        _ => throw new NotSupportedException($"Events carry no {type}."),
    };
}
