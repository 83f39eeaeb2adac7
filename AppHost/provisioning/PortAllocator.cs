using System.Net;
using System.Net.Sockets;

namespace Fleet.Provisioning;

/// <summary>Free loopback ports by name, kept between runs while they stay free, so that a bookmark survives a restart.</summary>
public sealed class PortAllocator(string file)
{
    // Below the kernel's ephemeral ports: one from there could be taken by an outgoing connection while its owner restarts.
    private const int First = 20000;
    private const int Last = 29999;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _remembered = AtomicFile.ReadJson<Dictionary<string, int>>(file) ?? [];
    private readonly HashSet<int> _givenOut = [];

    public int Get(string name)
    {
        lock (_gate)
        {
            var port = _remembered.TryGetValue(name, out var known) && !_givenOut.Contains(known) && IsFree(known) ? known : FindFree();
            _givenOut.Add(port);
            _remembered[name] = port;
            AtomicFile.WriteJson(file, _remembered);
            return port;
        }
    }

    public static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private int FindFree()
    {
        // A port remembered for another name may still be unbound; it must not be given out twice.
        var start = Random.Shared.Next(First, Last + 1);
        for (var offset = 0; offset <= Last - First; offset++)
        {
            var port = First + ((start - First + offset) % (Last - First + 1));
            if (!_givenOut.Contains(port) && !_remembered.ContainsValue(port) && IsFree(port))
                return port;
        }

        throw new ProvisioningException($"No free port between {First} and {Last}.");
    }
}
