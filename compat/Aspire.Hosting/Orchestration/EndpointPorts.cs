using Fleet.Provisioning;

namespace Aspire.Hosting.Orchestration;

/// <summary>Decides where endpoints listen: the port they ask for, or a free one that is kept between runs.</summary>
/// <param name="ports">The memory of this fleet's ports.</param>
/// <param name="anyPort">Ignores the ports that endpoints ask for: a test fleet must be able to run beside any other.</param>
internal sealed class EndpointPorts(PortAllocator ports, bool anyPort)
{
    public int Allocate(string key, int? wanted)
    {
        if (wanted is not { } port || anyPort)
            return ports.Get(key);
        if (!PortAllocator.IsFree(port))
            throw new DistributedApplicationException($"Port {port}, asked for by {key}, is in use. Stop its user or configure another port.");
        return port;
    }
}
