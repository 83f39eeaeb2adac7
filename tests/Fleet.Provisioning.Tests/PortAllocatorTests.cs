using System.Net;
using System.Net.Sockets;

namespace Fleet.Provisioning.Tests;

public sealed class PortAllocatorTests
{
    [Fact]
    public void Get_OfDifferentNames_GivesDifferentFreePorts()
    {
        using var folder = new TemporaryFolder();
        var ports = new PortAllocator(folder["ports.json"]);

        var given = Enumerable.Range(0, 50).Select(index => ports.Get($"service-{index}")).ToList();

        Assert.Equal(50, given.Distinct().Count());
        Assert.All(given, port => Assert.True(PortAllocator.IsFree(port)));
    }

    [Fact]
    public void Get_InTheNextRun_GivesTheSamePort()
    {
        using var folder = new TemporaryFolder();
        var first = new PortAllocator(folder["ports.json"]).Get("postgres");

        var second = new PortAllocator(folder["ports.json"]).Get("postgres");

        Assert.Equal(first, second);
    }

    [Fact]
    public void Get_WhenTheRememberedPortIsTaken_GivesAnother()
    {
        using var folder = new TemporaryFolder();
        var first = new PortAllocator(folder["ports.json"]).Get("postgres");
        using var someoneElse = new TcpListener(IPAddress.Loopback, first);
        someoneElse.Start();

        var second = new PortAllocator(folder["ports.json"]).Get("postgres");

        Assert.NotEqual(first, second);
    }
}
