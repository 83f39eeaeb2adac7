using Fleet.Cli.Testing;

namespace Fleet.Cli.Tests.Testing;

public sealed class TestReportTests
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(2);

    [Fact]
    public void Read_OfAMixedRun_CountsAndExplains()
    {
        var report = Read("""
            <assemblies>
              <assembly total="4" passed="2" failed="1" skipped="1" errors="1">
                <errors><error name="Fixture"><failure><message>late</message></failure></error></errors>
                <collection>
                  <test name="A.Works" result="Pass" />
                  <test name="A.Breaks" result="Fail"><failure><message>Expected 1</message><stack-trace>at A.cs:7</stack-trace></failure></test>
                  <test name="A.NeedsAGpu" result="Skip"><reason>no GPU</reason></test>
                </collection>
              </assembly>
            </assemblies>
            """, exitCode: 1);

        Assert.Equal((2, 2), (report.Passed, report.Failed));
        Assert.Equal([new SkippedTest("A.NeedsAGpu", "no GPU")], report.Skipped);
        Assert.Contains("A.Breaks", report.Problem);
        Assert.Contains("at A.cs:7", report.Problem);
        Assert.Contains("Fixture", report.Problem);
    }

    [Theory]
    [InlineData("""<assemblies><assembly total="0" passed="0" failed="0" skipped="0" errors="0" /></assemblies>""", 0)]
    [InlineData("""<assemblies />""", 0)]
    [InlineData("""<assemblies><assembly total="3" passed="3" """, 134)]
    [InlineData("", 139)]
    public void Read_OfARunWithoutTestsOrWithoutAWholeReport_IsAFailure(string xml, int exitCode)
    {
        var report = Read(xml, exitCode);

        Assert.Equal((0, 1), (report.Passed, report.Failed));
        Assert.NotNull(report.Problem);
    }

    [Fact]
    public void Read_WhenThereIsNoReport_IsAFailure()
    {
        using var folder = new TemporaryFolder();

        Assert.Equal(1, TestReport.Read("X", folder["absent.xml"], 139, Duration).Failed);
    }

    [Fact]
    public void Read_WhenTheProcessCrashedAfterItsTests_IsAFailure()
    {
        var report = Read("""<assemblies><assembly total="3" passed="3" failed="0" errors="0" /></assemblies>""", exitCode: 139);

        Assert.Equal((3, 1), (report.Passed, report.Failed));
        Assert.Contains("139", report.Problem);
    }

    [Fact]
    public void NotRun_IsNoFailureAndSaysWhy()
    {
        var report = TestReport.NotRun("X", "no browser");

        Assert.Equal((0, 0), (report.Passed, report.Failed));
        Assert.Equal([new SkippedTest("X", "no browser")], report.Skipped);
    }

    [Theory]
    [InlineData(new string[0], "Fleet.Chat.Tests", true)]
    [InlineData(new[] { "chat" }, "Fleet.Chat.Tests", true)]
    [InlineData(new[] { "chat", "auth" }, "Fleet.Knowledge.Tests", false)]
    public void Wants_ByPartOfTheName(string[] filters, string name, bool wanted) =>
        Assert.Equal(wanted, new TestOptions(filters, null).Wants(name));

    private static TestReport Read(string xml, int exitCode)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["report.xml"], xml);
        return TestReport.Read("X", folder["report.xml"], exitCode, Duration);
    }
}
