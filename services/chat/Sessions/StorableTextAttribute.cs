using System.ComponentModel.DataAnnotations;

namespace Fleet.Chat.Sessions;

/// <summary>Text that PostgreSQL and every encoder take: no U+0000, no half surrogate pairs.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class StorableTextAttribute : ValidationAttribute
{
    public StorableTextAttribute() => ErrorMessage = "The field {0} contains characters that are not text.";

    public override bool IsValid(object? value) => value switch
    {
        string text => IsStorable(text),
        IEnumerable<string> texts => texts.All(IsStorable),
        _ => true,
    };

    internal static bool IsStorable(string? text)
    {
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            if (rest[0] == '\0' || System.Text.Rune.DecodeFromUtf16(rest, out _, out var length) != System.Buffers.OperationStatus.Done) return false;
            rest = rest[length..];
        }

        return true;
    }
}
