using Fleet.EndToEnd.Tests;
using Xunit;

// One fleet and one browser process; every test has a person and a browser profile of its own.
[assembly: AssemblyFixture(typeof(BrowserFleet))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]
