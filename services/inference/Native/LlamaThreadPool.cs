namespace Fleet.Inference.Native;

/// <summary>
/// A CPU thread pool for one context. Without one llama.cpp starts and stops its threads for every graph (91 µs a decode instead of 40 on
/// the test model). The functions live in the processor's own library, so they are asked for by name.
/// </summary>
internal static unsafe class LlamaThreadPool
{
    private const int CpuDevice = 0;

    /// <summary>0 when the backend offers no pools; the context then works without.</summary>
    public static nint Create(int threads)
    {
        var create = (delegate* unmanaged[Cdecl]<ggml_threadpool_params*, nint>)Find("ggml_threadpool_new");
        if (create is null)
            return 0;

        ggml_threadpool_params parameters;
        LlamaNative.ggml_threadpool_params_init(&parameters, threads);
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
