using System.Net;
using System.Net.Sockets;
using System.Text;
using Fleet.Provisioning.Servers;

namespace Fleet.Provisioning.Tests.Servers;

/// <summary>The probes against canned answers; the answers of the real servers are part of every <c>./fleet test</c>.</summary>
public sealed class ServerProbesTests
{
    [Theory]
    [InlineData("R\0\0\0\x17", true)]
    [InlineData("E\0\0\0\x6CSFATAL\0C57P03\0", false)] // the database system is starting up
    [InlineData("", false)]
    public async Task PostgreSqlAsync_IsReadyWhenAskedForAPassword(string answer, bool ready)
    {
        using var server = new OneAnswerServer(answer);

        Assert.Equal(ready, await ServerProbes.PostgreSqlAsync(server.Port, "fleet", TestContext.Current.CancellationToken));

        // Length, protocol 3.0, then the parameters, each ended by a zero byte.
        Assert.Equal("\0\0\0\x26\0\x03\0\0user\0fleet\0database\0postgres\0\0"[3..], (await server.Question)[3..]);
    }

    [Theory]
    [InlineData("\x01\0\0\0\0\x01", true)]
    [InlineData("AMQP\0\0\x09\x01", false)] // "I speak another version"
    public async Task RabbitMqAsync_IsReadyWhenItStartsTheConnection(string answer, bool ready)
    {
        using var server = new OneAnswerServer(answer);

        Assert.Equal(ready, await ServerProbes.RabbitMqAsync(server.Port, TestContext.Current.CancellationToken));
        Assert.Equal("AMQP\0\0\x09\x01", await server.Question);
    }

    [Theory]
    [InlineData("+OK\r\n+PONG\r\n", true)]
    [InlineData("+OK\r\n-LOADING the dataset in memory\r\n", false)]
    [InlineData("-WRONGPASS invalid\r\n-NOAUTH\r\n", false)]
    public async Task RedisAsync_IsReadyWhenItAnswersThePing(string answer, bool ready)
    {
        using var server = new OneAnswerServer(answer);

        Assert.Equal(ready, await ServerProbes.RedisAsync(server.Port, "pw", TestContext.Current.CancellationToken));
        Assert.Equal("AUTH pw\r\nPING\r\n", await server.Question);
    }

    [Fact]
    public async Task AnyProbe_OfAClosedPort_IsNotReady()
    {
        using var listener = new OneAnswerServer("");
        var port = listener.Port;
        listener.Dispose();

        Assert.False(await ServerProbes.PostgreSqlAsync(port, "fleet", TestContext.Current.CancellationToken));
        Assert.False(await ServerProbes.RabbitMqAsync(port, TestContext.Current.CancellationToken));
        Assert.False(await ServerProbes.RedisAsync(port, "pw", TestContext.Current.CancellationToken));
    }

    private sealed class OneAnswerServer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public OneAnswerServer(string answer)
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            Question = ServeAsync(answer);
        }

        public int Port { get; }

        public Task<string> Question { get; }

        public void Dispose() => _listener.Dispose();

        private async Task<string> ServeAsync(string answer)
        {
            using var client = await _listener.AcceptTcpClientAsync();
            var buffer = new byte[256];
            var read = await client.GetStream().ReadAsync(buffer);
            await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(answer));
            return Encoding.Latin1.GetString(buffer, 0, read);
        }
    }
}
