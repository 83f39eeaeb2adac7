namespace Fleet.Inference.Native;

/// <summary>
/// A CPU thread pool for one context. Without one llama.cpp starts and stops its threads for every graph (91 µs a decode instead of 40 on
/// the test model). The functions live in the processor's own library, so they are asked for by name.
/// </summary>
internal static unsafe class LlamaThreadPool
{
    private const int CpuDevice = 0;

    // Units of 131,072 pauses: idle workers spin for a few milliseconds, which bridges the sampling between two steps, and then sleep.
    // The library's 50 would take a core from the rest of Fleet for a tenth of a second after every step.
    private const uint Poll = 1;

    /// <summary>0 when the backend offers no pools; the context then works without.</summary>
    public static nint Create(int threads)
    {
        var create = (delegate* unmanaged[Cdecl]<ggml_threadpool_params*, nint>)Find("ggml_threadpool_new");
        if (create is null)
            return 0;

        ggml_threadpool_params parameters;
        LlamaNative.ggml_threadpool_params_init(&parameters, threads);
        parameters.poll = Poll;
        return create(&parameters);
    }

    public static void Free(nint pool)
    {
        var free = (delegate* unmanaged[Cdecl]<nint, void>)Find("ggml_threadpool_free");
        if (pool != 0 && free is not null)
            free(pool);
    }

    private static nint Find(string name)
    {
        var device = LlamaNative.ggml_backend_dev_by_type(CpuDevice);
        return device == 0 ? 0 : LlamaNative.ggml_backend_reg_get_proc_address(LlamaNative.ggml_backend_dev_backend_reg(device), name);
    }
}

/// <summary>
/// A pool for each number of threads a context has worked with. A pool larger than the number in use would do, but every graph wakes all of
/// its threads, and those without work spin.
/// </summary>
internal sealed class LlamaThreadPools
{
    private readonly Dictionary<int, nint> _pools = [];

    /// <summary>0 when the backend offers no pools.</summary>
    public nint OfSize(int threads)
    {
        if (!_pools.TryGetValue(threads, out var pool))
            _pools[threads] = pool = LlamaThreadPool.Create(threads);
        return pool;
    }

    /// <summary>After the context is gone.</summary>
    public void Free()
    {
        foreach (var pool in _pools.Values)
            LlamaThreadPool.Free(pool);
        _pools.Clear();
    }
}
