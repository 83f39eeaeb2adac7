namespace Fleet.Compat.Grpc.Tests;

internal static class TestLimits
{
    /// <summary>A stream that never speaks must fail its test, not hang the run. Generous: machines are shared.</summary>
    public const int Milliseconds = 120_000;
}
