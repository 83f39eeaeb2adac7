using Fleet.Benchmarks;

Benchmark[] benchmarks = [new StartBenchmark(), new ChatBenchmark()];

if (args is not [var name, ..] || name == "list")
{
    foreach (var benchmark in benchmarks) Console.WriteLine($"{benchmark.Name,-8} {benchmark.Description}");
    return 0;
}

if (benchmarks.FirstOrDefault(benchmark => benchmark.Name == name) is not { } chosen)
{
    Console.Error.WriteLine($"There is no benchmark '{name}'. There are: {string.Join(", ", benchmarks.Select(benchmark => benchmark.Name))}.");
    return 2;
}

var json = args.Contains("--json");
var result = await chosen.RunAsync(message =>
{
    if (!json) Console.WriteLine(message);
});
result.Write(Console.Out, json);
return 0;
