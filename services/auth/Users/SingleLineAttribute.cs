using System.ComponentModel.DataAnnotations;

namespace Fleet.Auth.Users;

/// <summary>Text without control characters: nothing that would end a line, or (NUL) that the database cannot hold.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
public sealed class SingleLineAttribute() : ValidationAttribute("The field {0} contains control characters.")
{
    public override bool IsValid(object? value) => value is not string text || !text.Any(char.IsControl);
}
