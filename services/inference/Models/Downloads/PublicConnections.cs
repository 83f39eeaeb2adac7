using System.Net;
using System.Net.Sockets;

namespace Fleet.Inference.Models.Downloads;

/// <summary>
/// Connections for fetching what a person named: a host is resolved once, every address it has is checked, and the connection goes to a checked
/// address, so that a name which changes its mind between check and use reaches nothing inside (DNS rebinding). No proxy, no automatic redirects.
/// </summary>
internal static class PublicConnections
{
    public static HttpMessageHandler CreateHandler(DownloadsOptions options) => new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = options.AllowPrivateAddresses,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(15),
        ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint, options.AllowPrivateAddresses, cancellationToken),
    };

    /// <summary>Whether an address is one of the internet's: not this machine, a private network, a link, a carrier's or a reserved range.</summary>
    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        var bytes = address.GetAddressBytes();
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            return bytes switch
            {
                [0 or 10 or 127, ..] => false,
                [100, >= 64 and <= 127, ..] => false, // carrier-grade NAT, RFC 6598
                [169, 254, ..] => false, // link-local; clouds answer with credentials there
                [172, >= 16 and <= 31, ..] => false,
                [192, 168, ..] or [192, 0, 0, _] or [192, 0, 2, _] or [198, 18 or 19, ..] or [198, 51, 100, _] or [203, 0, 113, _] => false,
                [>= 224, ..] => false, // multicast, reserved, broadcast
                _ => true,
            };
        }

        if (IPAddress.IsLoopback(address) || address.Equals(IPAddress.IPv6Any) || address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast)
            return false;
        return bytes switch
        {
            [0x00, 0x64, 0xff, 0x9b, .. var rest] => rest is [0, 0, 0, 0, 0, 0, 0, 0, ..] && IsPublic(new IPAddress(rest[8..])), // NAT64: an IPv4 address behind it
            [0x20, 0x02, var a, var b, var c, var d, ..] => IsPublic(new IPAddress([a, b, c, d])), // 6to4
            [0x20, 0x01, 0, 0, ..] or [0x20, 0x01, 0x0d, 0xb8, ..] => false, // Teredo, documentation
            _ => (bytes[0] & 0xe0) == 0x20, // global unicast is 2000::/3
        };
    }

    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint target, bool allowPrivate, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await Dns.GetHostAddressesAsync(target.Host, cancellationToken);
        if (!allowPrivate && addresses.Any(address => !IsPublic(address)))
            throw new DownloadException($"{target.Host} is not an address of the internet ({DownloadsOptions.SectionName}:AllowPrivateAddresses changes that).");

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, target.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
