using System.Diagnostics;

namespace Fleet.Testing;

/// <summary>Waits on conditions, never on time alone.</summary>
public static class Eventually
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(25);

    /// <exception cref="TimeoutException">The condition did not come true in time (30 s unless told).</exception>
    public static Task TrueAsync(Func<bool> condition, string because = "the condition never came true", TimeSpan? timeout = null) =>
        TrueAsync(() => Task.FromResult(condition()), because, timeout);

    /// <inheritdoc cref="TrueAsync(Func{bool}, string, TimeSpan?)"/>
    public static async Task TrueAsync(Func<Task<bool>> condition, string because = "the condition never came true", TimeSpan? timeout = null) =>
        await ResultAsync(async () => await condition() ? new object() : null, because, timeout);

    /// <summary>The first non-null result of <paramref name="attempt"/>.</summary>
    /// <exception cref="TimeoutException">None came in time (30 s unless told).</exception>
    public static async Task<T> ResultAsync<T>(Func<Task<T?>> attempt, string because = "no result came", TimeSpan? timeout = null) where T : class
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            if (await attempt() is { } result) return result;
            if (Stopwatch.GetElapsedTime(started) > (timeout ?? DefaultTimeout)) throw new TimeoutException(because);
            await Task.Delay(Poll);
        }
    }
}
