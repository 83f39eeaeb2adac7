using System.Text.RegularExpressions;

namespace Fleet.ServiceDefaults.Logging;

/// <summary>
/// The second line of defence: code never logs secrets, and what a library writes by mistake is masked here before it leaves the process.
/// </summary>
public static partial class Redactor
{
    private const string Mask = "***";

    public static string Redact(string text)
    {
        if (text.Length == 0) return text;
        text = Jwt().Replace(text, Mask);
        text = ApiKey().Replace(text, "fk_" + Mask);
        text = Bearer().Replace(text, "Bearer " + Mask);
        text = Assignment().Replace(text, match => match.Groups["name"].Value + match.Groups["separator"].Value + Mask);
        text = UserInfo().Replace(text, "://" + Mask + "@");
        return Email().Replace(text, Mask + "@" + Mask);
    }

    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", RegexOptions.CultureInvariant)]
    private static partial Regex Jwt();

    [GeneratedRegex("fk_[A-Za-z0-9_-]{8,}", RegexOptions.CultureInvariant)]
    private static partial Regex ApiKey();

    [GeneratedRegex(@"Bearer\s+[A-Za-z0-9._~+/=-]{8,}", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Bearer();

    [GeneratedRegex("""(?<name>password|passwd|pwd|client_secret|secret|refresh_token|refreshToken|access_token|accessToken|api_key)(?<separator>"?\s*[=:]\s*"?)[^\s"&;,}]+""",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Assignment();

    [GeneratedRegex("://[^/@\\s:]+:[^/@\\s]+@", RegexOptions.CultureInvariant)]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"[\w.+-]{1,64}@[\w-]{1,255}(\.[\w-]{1,63})+", RegexOptions.CultureInvariant)]
    private static partial Regex Email();
}
