using Fleet.Benchmarks;
using Fleet.Benchmarks.Inference;

if (args is [Hogs.Command, var seconds])
{
    Hogs.Run(seconds);
    return 0;
}

Benchmark[] benchmarks = [new StartBenchmark(), new ChatBenchmark()];

if (args is not [var name, ..] || name == "list")
{
    foreach (var benchmark in benchmarks) Console.WriteLine($"{benchmark.Name,-10} {benchmark.Description}");
    Console.WriteLine($"{InferenceBenchmark.Name,-10} {InferenceBenchmark.Description}");
    return 0;
}

if (name == InferenceBenchmark.Name)
    return await InferenceBenchmark.RunAsync(args[1..]);

if (benchmarks.FirstOrDefault(benchmark => benchmark.Name == name) is not { } chosen)
{
    Console.Error.WriteLine($"There is no benchmark '{name}'. There are: {string.Join(", ", benchmarks.Select(benchmark => benchmark.Name).Append(InferenceBenchmark.Name))}.");
    return 2;
}

var json = args.Contains("--json");
var result = await chosen.RunAsync(message =>
{
    if (!json) Console.WriteLine(message);
});
result.Write(Console.Out, json);
return 0;
