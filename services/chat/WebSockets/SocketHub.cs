using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace Fleet.Chat.WebSockets;

/// <summary>The open sockets of each conversation in this process: who types, who is there.</summary>
internal sealed class SocketHub
{
    private readonly ConcurrentDictionary<Guid, ImmutableHashSet<ChatSocket>> _sockets = new();

    public void Join(ChatSocket socket)
    {
        var all = _sockets.AddOrUpdate(socket.SessionId, [socket], (_, sockets) => sockets.Add(socket));
        Tell(all, SocketFrames.Presence(all.Count));
    }

    public void Leave(ChatSocket socket)
    {
        var all = _sockets.AddOrUpdate(socket.SessionId, [], (_, sockets) => sockets.Remove(socket));
        if (all.IsEmpty) _sockets.TryRemove(new(socket.SessionId, all));
        else Tell(all, SocketFrames.Presence(all.Count));
    }

    public void TellOthers(ChatSocket sender, string frame)
    {
        if (_sockets.TryGetValue(sender.SessionId, out var all)) Tell(all.Where(socket => socket != sender), frame);
    }

    // A peer that does not read misses an indicator, nothing else.
    private static void Tell(IEnumerable<ChatSocket> sockets, string frame)
    {
        foreach (var socket in sockets) socket.TrySend(frame);
    }
}
