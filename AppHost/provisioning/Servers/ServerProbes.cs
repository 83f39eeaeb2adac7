using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fleet.Provisioning.Servers;

/// <summary>
/// One question each in PostgreSQL's, AMQP's and Redis' own protocol. An open port is not enough: all three accept connections some time
/// before they serve.
/// </summary>
public static class ServerProbes
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);
    private static readonly byte[] AmqpHeader = [.. "AMQP"u8, 0, 0, 9, 1];

    /// <summary>A start-up message is answered with an authentication request ('R'); while recovering, with an error ('E').</summary>
    public static Task<bool> PostgreSqlAsync(int port, string user, CancellationToken cancellationToken) =>
        AskAsync(port, StartupMessage(user, "postgres"), reply => reply.Length > 0 && reply[0] == 'R', cancellationToken);

    /// <summary>The protocol header is answered with a method frame (Connection.Start, type 1).</summary>
    public static Task<bool> RabbitMqAsync(int port, CancellationToken cancellationToken) =>
        AskAsync(port, AmqpHeader, reply => reply.Length > 0 && reply[0] == 1, cancellationToken);

    /// <summary>AUTH and PING; while the data set loads the answer is an error.</summary>
    public static Task<bool> RedisAsync(int port, string password, CancellationToken cancellationToken) =>
        AskAsync(
            port,
            Encoding.ASCII.GetBytes($"AUTH {password}\r\nPING\r\n"),
            reply => Encoding.ASCII.GetString(reply).StartsWith("+OK\r\n+PONG", StringComparison.Ordinal),
            cancellationToken,
            atLeast: "+OK\r\n+PONG\r\n".Length);

    private static async Task<bool> AskAsync(
        int port, byte[] question, Func<byte[], bool> accept, CancellationToken cancellationToken, int atLeast = 1)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(Limit);
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port, limited.Token);
            var stream = client.GetStream();
            await stream.WriteAsync(question, limited.Token);
            var buffer = new byte[256];
            var read = await stream.ReadAtLeastAsync(buffer, atLeast, throwOnEndOfStream: false, limited.Token);
            return accept(buffer[..read]);
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static byte[] StartupMessage(string user, string database)
    {
        const int ProtocolVersion3 = 196608;
        var parameters = Encoding.UTF8.GetBytes($"user\0{user}\0database\0{database}\0\0");
        var message = new byte[8 + parameters.Length];
        BinaryPrimitives.WriteInt32BigEndian(message, message.Length);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(4), ProtocolVersion3);
        parameters.CopyTo(message, 8);
        return message;
    }
}
