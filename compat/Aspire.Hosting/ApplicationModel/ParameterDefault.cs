using System.Security.Cryptography;

namespace Aspire.Hosting.ApplicationModel;

public abstract class ParameterDefault
{
    public abstract string GetDefaultValue();
}

/// <summary>A random value; with <c>persist</c> it is made once and kept in the state directory.</summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";
    private const string Digits = "0123456789";
    private const string Specials = "-_.{}~()*+!";

    public int MinLength { get; set; }

    public bool Lower { get; set; } = true;

    public bool Upper { get; set; } = true;

    public bool Numeric { get; set; } = true;

    public bool Special { get; set; } = true;

    public override string GetDefaultValue()
    {
        var alphabet = (Lower ? Letters : "") + (Upper ? Letters.ToUpperInvariant() : "") + (Numeric ? Digits : "") + (Special ? Specials : "");
        return RandomNumberGenerator.GetString(alphabet, Math.Max(MinLength, 22));
    }
}
