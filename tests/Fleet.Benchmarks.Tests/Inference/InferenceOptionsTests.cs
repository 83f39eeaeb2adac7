using Fleet.Benchmarks.Inference;

namespace Fleet.Benchmarks.Tests.Inference;

public sealed class InferenceOptionsTests
{
    [Fact]
    public void Parse_TakesEveryOption()
    {
        var options = InferenceOptions.Parse(["--json", "--rows", "L1, L3", "--quick", "--max-other-cpu", "0.5", "--fleet", "MaxStep=00:00:01", "--fleet", "A=b=c"]);

        Assert.Equal((true, true, 0.5), (options.Json, options.Quick, options.MaxOtherCores));
        Assert.Equal(["L1", "L3"], options.Rows);
        Assert.Equal(["MaxStep=00:00:01", "A=b=c"], options.FleetSettings);
    }

    [Theory]
    [InlineData("--fast")]
    [InlineData("--rows")]
    public void Parse_UnknownOrIncomplete_NamesIt(string argument) =>
        Assert.Contains(argument, Assert.Throws<BenchmarkException>(() => InferenceOptions.Parse([argument])).Message, StringComparison.Ordinal);
}
