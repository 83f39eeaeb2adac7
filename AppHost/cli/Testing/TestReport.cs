using System.Xml;
using System.Xml.Linq;

namespace Fleet.Cli.Testing;

/// <summary>What one test project, or one check, came to.</summary>
internal sealed record TestReport(
    string Name, int Passed, int Failed, TimeSpan Duration, IReadOnlyList<SkippedTest> Skipped, string? Problem = null)
{
    // A person reads the first ones; all are in the report.
    private const int ShownFailures = 20;

    /// <summary>The project ended well but had nothing to run, which only a pattern excuses.</summary>
    public bool NothingRan { get; private init; }

    /// <summary>A project that did not run its tests: one failure, whatever it would have had.</summary>
    public static TestReport Broken(string name, TimeSpan duration, string problem) => new(name, 0, 1, duration, [], problem);

    /// <summary>A project that this machine cannot run; the summary tells why.</summary>
    public static TestReport NotRun(string name, string why) => new(name, 0, 0, TimeSpan.Zero, [new SkippedTest(name, why)]);

    /// <summary>A check that either holds or does not: one test.</summary>
    public static TestReport Check(string name, TimeSpan duration, string? problem) =>
        problem is null ? new(name, 1, 0, duration, []) : Broken(name, duration, problem);

    /// <param name="name">The project's name.</param>
    /// <param name="file">xunit's own XML (version 2 schema).</param>
    /// <param name="exitCode">The test process's.</param>
    /// <param name="duration">How long the process ran.</param>
    public static TestReport Read(string name, string file, int exitCode, TimeSpan duration)
    {
        XDocument document;
        try
        {
            document = XDocument.Load(file);
        }
        catch (Exception exception) when (exception is IOException or XmlException)
        {
            return Broken(name, duration, $"it ended with exit code {exitCode} and left no report");
        }

        var assemblies = document.Root!.Elements("assembly").ToList();
        var passed = Sum(assemblies, "passed");
        // An error is a failure outside of a test, for instance in a fixture's end.
        var failed = Sum(assemblies, "failed") + Sum(assemblies, "errors");
        var skipped = document.Descendants("test")
            .Where(test => (string?)test.Attribute("result") == "Skip")
            .Select(test => new SkippedTest((string)test.Attribute("name")!, (string?)test.Element("reason") ?? ""))
            .ToList();

        if (passed + failed == 0)
            return Broken(name, duration, skipped.Count == 0 ? "it ran no tests" : "it skipped every test") with
            {
                Skipped = skipped,
                NothingRan = exitCode == 0,
            };
        if (failed == 0 && exitCode != 0)
            return new TestReport(name, passed, 1, duration, skipped, $"every test passed but the process ended with exit code {exitCode}");
        return new TestReport(name, passed, failed, duration, skipped, failed == 0 ? null : Explain(document));
    }

    private static string Explain(XDocument document)
    {
        var tests = document.Descendants("test").Where(test => (string?)test.Attribute("result") == "Fail")
            .Select(test => (Name: (string?)test.Attribute("name"), Failure: test.Element("failure")));
        var errors = document.Descendants("error").Select(error => (Name: (string?)error.Attribute("name"), Failure: error.Element("failure")));
        return string.Join("\n", tests.Concat(errors).Take(ShownFailures).Select(failed =>
            $"  FAILED {failed.Name}\n{Indent((string?)failed.Failure?.Element("message"))}\n{Indent((string?)failed.Failure?.Element("stack-trace"))}"));
    }

    private static string Indent(string? text) =>
        string.Join('\n', (text ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => "    " + line.TrimEnd()));

    private static int Sum(List<XElement> assemblies, string attribute) => assemblies.Sum(assembly => (int?)assembly.Attribute(attribute) ?? 0);
}

internal sealed record SkippedTest(string Name, string Reason);
