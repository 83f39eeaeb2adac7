using System.Text.RegularExpressions;
using Fleet.Provisioning.Servers;

namespace Fleet.Provisioning.Tests.Servers;

/// <summary>The servers that <c>./fleet test</c> runs for everyone are themselves started by this library; these ask them.</summary>
public sealed class RealServersTests
{
    [Fact]
    public async Task PostgreSql_ThatTestsRunOn_AnswersItsProbe() => Assert.True(await ServerProbes.PostgreSqlAsync(
        Port("postgres", @"Port=(\d+)"), ServerInstallation.UserName, TestContext.Current.CancellationToken));

    [Fact]
    public async Task RabbitMq_ThatTestsRunOn_AnswersItsProbe() =>
        Assert.True(await ServerProbes.RabbitMqAsync(Port("rabbitmq", @":(\d+)/?$"), TestContext.Current.CancellationToken));

    [Fact]
    public async Task AnotherProtocolsServer_IsNeverReady()
    {
        var redis = Port("redis", @":(\d+)");

        Assert.False(await ServerProbes.PostgreSqlAsync(redis, "fleet", TestContext.Current.CancellationToken));
        Assert.False(await ServerProbes.RabbitMqAsync(redis, TestContext.Current.CancellationToken));
    }

    private static int Port(string name, string pattern)
    {
        var connection = Environment.GetEnvironmentVariable($"ConnectionStrings__{name}");
        if (string.IsNullOrEmpty(connection))
            Assert.Skip("No servers: run ./fleet test");
        return int.Parse(Regex.Match(connection, pattern).Groups[1].Value);
    }
}
