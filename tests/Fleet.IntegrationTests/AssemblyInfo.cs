using Xunit;

// One fleet for all tests; some of them kill parts of it, so they take turns.
[assembly: AssemblyFixture(typeof(FleetFixture))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]
