using Fleet.Contracts.Auth.V1;
using Fleet.Contracts.Inference.V1;
using Fleet.Contracts.Knowledge.V1;
using Google.Protobuf.Reflection;
using Xunit;

namespace Fleet.Contracts.Tests;

/// <summary>Protos only grow: a replica of the last release must understand this one. <c>proto-fields.txt</c> lists what was promised.</summary>
public sealed class ProtoCompatibilityTests
{
    private static readonly FileDescriptor[] Files = [FleetAuthV1Reflection.Descriptor, FleetInferenceV1Reflection.Descriptor, FleetKnowledgeV1Reflection.Descriptor];

    [Fact]
    public void Every_promised_field_enum_value_and_method_is_still_there()
    {
        var promised = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "proto-fields.txt"));
        var present = Describe().ToHashSet(StringComparer.Ordinal);

        Assert.All(promised, line => Assert.Contains(line, present));
    }

    [Fact]
    public void What_is_new_has_been_added_to_the_promise()
    {
        var promised = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "proto-fields.txt")).ToHashSet(StringComparer.Ordinal);

        var missing = Describe().Where(line => !promised.Contains(line)).ToList();

        Assert.True(missing.Count == 0, "Add to proto-fields.txt:\n" + string.Join('\n', missing));
    }

    private static IEnumerable<string> Describe()
    {
        foreach (var file in Files)
        {
            foreach (var message in file.MessageTypes)
            {
                foreach (var field in message.Fields.InFieldNumberOrder())
                    yield return $"{message.FullName} {field.FieldNumber} {field.Name} {Type(field)}";
            }

            foreach (var value in file.EnumTypes.SelectMany(type => type.Values)) yield return $"{value.FullName} {value.Number}";
            foreach (var method in file.Services.SelectMany(service => service.Methods))
                yield return $"{method.FullName} {method.InputType.Name} -> {(method.IsServerStreaming ? "stream " : "")}{method.OutputType.Name}";
        }
    }

    private static string Type(FieldDescriptor field) =>
        (field.IsMap ? "map " : field.IsRepeated ? "repeated " : field.HasPresence && field.FieldType != FieldType.Message ? "optional " : "") + field.FieldType
        + (field.FieldType == FieldType.Message && !field.IsMap ? " " + field.MessageType.Name : field.FieldType == FieldType.Enum ? " " + field.EnumType.Name : "");
}
