using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Fleet.ServiceDefaults.Http;
using Grpc.Core;
using Grpc.Net.Client;

namespace Fleet.Chat.Clients;

/// <summary>gRPC channels to the other services, one per replica, used in turn so that an attempt after a failure meets another one.</summary>
internal sealed class ServiceChannels(ServiceAddresses addresses) : IDisposable
{
    private readonly ConcurrentDictionary<Uri, GrpcChannel> _channels = new();
    private readonly ConcurrentDictionary<string, StrongBox<uint>> _turns = new();

    /// <exception cref="InvalidOperationException">No address is configured.</exception>
    public CallInvoker Next(string service)
    {
        var replicas = addresses.Resolve(service, "grpc");
        var turn = Interlocked.Increment(ref _turns.GetOrAdd(service, _ => new StrongBox<uint>()).Value);
        return ChannelTo(replicas[(int)(turn % (uint)replicas.Count)]);
    }

    /// <summary>One for every replica: for questions that each answers for itself.</summary>
    public IReadOnlyList<CallInvoker> All(string service) => [.. addresses.Resolve(service, "grpc").Select(ChannelTo)];

    private CallInvoker ChannelTo(Uri replica) => _channels.GetOrAdd(replica, address => GrpcChannel.ForAddress(address)).CreateCallInvoker();

    public void Dispose()
    {
        foreach (var channel in _channels.Values) channel.Dispose();
    }
}
