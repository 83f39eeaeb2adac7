using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>The names and encodings of gRPC over HTTP/2 that both sides share.</summary>
internal static class GrpcProtocol
{
    public const string ContentType = "application/grpc";
    public const string StatusHeader = "grpc-status";
    public const string MessageHeader = "grpc-message";
    public const string TimeoutHeader = "grpc-timeout";
    public const string EncodingHeader = "grpc-encoding";
    public const string AcceptEncodingHeader = "grpc-accept-encoding";
    public const string Identity = "identity";
    public const string Gzip = "gzip";
    public const string AcceptedEncodings = "identity,gzip";
    public const int DefaultMaxReceiveMessageSize = 4 * 1024 * 1024;

    // The largest timeout of 8 digits and a unit that still fits a TimeSpan comfortably; longer is no deadline at all.
    private const long MaxTimeoutSeconds = 99_999_999;

    /// <summary>"application/grpc", alone or with a suffix (+proto) or parameters; grpc-web is another protocol.</summary>
    public static bool IsGrpcContentType(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is ';' or '+');

    public static string FormatTimeout(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
            return "1n";
        var (value, unit) = timeout.Ticks switch
        {
            // A tick is 100 ns; the value has at most 8 digits, so coarser units follow as it grows. Rounded up: never early.
            < 99_999_999L / 100 => (timeout.Ticks * 100, 'n'),
            < 99_999_999L * TimeSpan.TicksPerMicrosecond => (DivideUp(timeout.Ticks, TimeSpan.TicksPerMicrosecond), 'u'),
            < 99_999_999L * TimeSpan.TicksPerMillisecond => (DivideUp(timeout.Ticks, TimeSpan.TicksPerMillisecond), 'm'),
            _ => (Math.Min(DivideUp(timeout.Ticks, TimeSpan.TicksPerSecond), MaxTimeoutSeconds), 'S'),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
    }

    public static bool TryParseTimeout(string? text, out TimeSpan timeout)
    {
        timeout = default;
        if (text is not { Length: >= 2 and <= 9 }
            || !long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            return false;
        long? ticks = text[^1] switch
        {
            'H' => value * TimeSpan.TicksPerHour,
            'M' => value * TimeSpan.TicksPerMinute,
            'S' => value * TimeSpan.TicksPerSecond,
            'm' => value * TimeSpan.TicksPerMillisecond,
            'u' => value * TimeSpan.TicksPerMicrosecond,
            'n' => DivideUp(value, TimeSpan.NanosecondsPerTick),
            _ => null,
        };
        timeout = TimeSpan.FromTicks(ticks ?? 0);
        return ticks is not null;
    }

    /// <summary>Status texts travel percent-encoded: everything but printable ASCII, and the percent sign.</summary>
    public static string EncodeMessage(string message)
    {
        if (message.All(c => c is >= ' ' and <= '~' and not '%'))
            return message;
        var encoded = new StringBuilder(message.Length + 16);
        foreach (var octet in Encoding.UTF8.GetBytes(message))
        {
            if (octet is >= (byte)' ' and <= (byte)'~' and not (byte)'%')
                encoded.Append((char)octet);
            else
                encoded.Append('%').Append(octet.ToString("X2", CultureInfo.InvariantCulture));
        }

        return encoded.ToString();
    }

    /// <summary>Lenient, as the protocol demands: what is not a valid escape stays as it is.</summary>
    public static string DecodeMessage(string message)
    {
        if (!message.Contains('%', StringComparison.Ordinal))
            return message;
        var source = Encoding.UTF8.GetBytes(message);
        var decoded = new List<byte>(source.Length);
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] == '%'
                && i + 2 < source.Length
                && Utf8Parser.TryParse(source.AsSpan(i + 1, 2), out byte octet, out var consumed, 'X')
                && consumed == 2)
            {
                decoded.Add(octet);
                i += 2;
            }
            else
            {
                decoded.Add(source[i]);
            }
        }

        return Encoding.UTF8.GetString([.. decoded]);
    }

    /// <summary>Adds one received field; binary values may be several in one, comma separated, and lack their padding.</summary>
    public static void AddReceived(Metadata metadata, string name, string value)
    {
        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            metadata.Add(name, value);
            return;
        }

        foreach (var part in value.Split(','))
            metadata.Add(name, DecodeBinary(name, part.Trim()));
    }

    /// <summary>Fields that belong to HTTP or to gRPC itself and are not the application's metadata.</summary>
    public static bool IsReserved(string name) =>
        name.StartsWith(':')
        || name.ToUpperInvariant() is "TE" or "HOST" or "CONTENT-TYPE" or "CONTENT-LENGTH" or "TRAILER"
            or "GRPC-TIMEOUT" or "GRPC-ENCODING" or "GRPC-ACCEPT-ENCODING" or "GRPC-STATUS" or "GRPC-MESSAGE";

    private static long DivideUp(long value, long by) => (value + by - 1) / by;

    private static byte[] DecodeBinary(string name, string text)
    {
        var padded = (text.Length % 4) switch
        {
            2 => text + "==",
            3 => text + "=",
            _ => text,
        };
        try
        {
            return Convert.FromBase64String(padded);
        }
        catch (FormatException exception)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The metadata entry '{name}' is not valid base64.", exception));
        }
    }
}
