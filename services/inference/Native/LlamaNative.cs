using System.Runtime.InteropServices;

namespace Fleet.Inference.Native;

/// <summary>The C functions Fleet uses, under their C names. Nothing here checks anything: callers in this folder do.</summary>
internal static unsafe partial class LlamaNative
{
    // Logical names; NativeLibraries resolves them to files of the pinned release.
    public const string Llama = "llama";
    public const string Ggml = "ggml";
    public const string GgmlBase = "ggml-base";

    [LibraryImport(Llama)]
    public static partial byte* llama_version();

    [LibraryImport(Llama)]
    public static partial void llama_log_set(delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback, void* data);

    [LibraryImport(Llama)]
    public static partial void llama_backend_init();

    [LibraryImport(Ggml, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void ggml_backend_load_all_from_path(string directory);

    [LibraryImport(Ggml)]
    public static partial nuint ggml_backend_dev_count();

    [LibraryImport(Ggml)]
    public static partial nint ggml_backend_dev_get(nuint index);

    [LibraryImport(Ggml)]
    public static partial nint ggml_backend_dev_by_type(int type);

    [LibraryImport(GgmlBase)]
    public static partial void ggml_backend_dev_get_props(nint device, ggml_backend_dev_props* props);

    [LibraryImport(GgmlBase)]
    public static partial nint ggml_backend_dev_backend_reg(nint device);

    [LibraryImport(GgmlBase, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ggml_backend_reg_get_proc_address(nint registry, string name);

    [LibraryImport(GgmlBase)]
    public static partial void ggml_threadpool_params_init(ggml_threadpool_params* parameters, int threads);

    [LibraryImport(Llama)]
    public static partial llama_model_params llama_model_default_params();

    [LibraryImport(Llama)]
    public static partial llama_context_params llama_context_default_params();

    [LibraryImport(Llama, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint llama_model_load_from_file(string path, llama_model_params parameters);

    [LibraryImport(Llama)]
    public static partial void llama_model_free(nint model);

    [LibraryImport(Llama, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint llama_adapter_lora_init(SafeLlamaModel model, string path);

    [LibraryImport(Llama)]
    public static partial nint llama_init_from_model(SafeLlamaModel model, llama_context_params parameters);

    [LibraryImport(Llama)]
    public static partial void llama_free(nint context);

    [LibraryImport(Llama)]
    public static partial nint llama_model_get_vocab(SafeLlamaModel model);

    [LibraryImport(Llama)]
    public static partial int llama_model_n_ctx_train(SafeLlamaModel model);

    [LibraryImport(Llama)]
    public static partial int llama_model_n_embd_out(SafeLlamaModel model);

    [LibraryImport(Llama)]
    public static partial byte* llama_model_chat_template(SafeLlamaModel model, byte* name);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_model_is_recurrent(SafeLlamaModel model);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_model_is_hybrid(SafeLlamaModel model);

    [LibraryImport(Llama)]
    public static partial uint llama_n_ctx(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial uint llama_n_ctx_seq(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial uint llama_n_batch(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial uint llama_n_ubatch(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_n_tokens(nint vocabulary);

    [LibraryImport(Llama)]
    public static partial byte* llama_vocab_get_text(nint vocabulary, int token);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_get_attr(nint vocabulary, int token);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_bos(nint vocabulary);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_type(nint vocabulary);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_eos(nint vocabulary);

    [LibraryImport(Llama)]
    public static partial int llama_vocab_sep(nint vocabulary);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_vocab_get_add_eos(nint vocabulary);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_vocab_get_add_sep(nint vocabulary);

    [LibraryImport(Llama)]
    public static partial uint llama_model_n_cls_out(SafeLlamaModel model);

    [LibraryImport(Llama)]
    public static partial byte* llama_model_cls_label(SafeLlamaModel model, uint index);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_vocab_get_add_bos(nint vocabulary);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_vocab_is_eog(nint vocabulary, int token);

    [LibraryImport(Llama)]
    public static partial int llama_tokenize(
        nint vocabulary, byte* text, int length, int* tokens, int capacity,
        [MarshalAs(UnmanagedType.U1)] bool addSpecial, [MarshalAs(UnmanagedType.U1)] bool parseSpecial);

    [LibraryImport(Llama)]
    public static partial int llama_token_to_piece(
        nint vocabulary, int token, byte* buffer, int capacity, int leftStrip, [MarshalAs(UnmanagedType.U1)] bool special);

    [LibraryImport(Llama)]
    public static partial int llama_chat_apply_template(
        byte* template, llama_chat_message* messages, nuint count, [MarshalAs(UnmanagedType.U1)] bool addAssistant, byte* buffer, int capacity);

    [LibraryImport(Llama)]
    public static partial nint llama_get_memory(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial void llama_memory_clear(nint memory, [MarshalAs(UnmanagedType.U1)] bool data);

    [LibraryImport(Llama)]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool llama_memory_seq_rm(nint memory, int sequence, int from, int to);

    [LibraryImport(Llama)]
    public static partial void llama_memory_seq_cp(nint memory, int source, int target, int from, int to);

    [LibraryImport(Llama)]
    public static partial int llama_memory_seq_pos_max(nint memory, int sequence);

    [LibraryImport(Llama)]
    public static partial int llama_decode(SafeLlamaContext context, llama_batch batch);

    [LibraryImport(Llama)]
    public static partial float* llama_get_logits_ith(SafeLlamaContext context, int index);

    [LibraryImport(Llama)]
    public static partial int llama_pooling_type(SafeLlamaContext context);

    [LibraryImport(Llama)]
    public static partial float* llama_get_embeddings_seq(SafeLlamaContext context, int sequence);

    [LibraryImport(Llama)]
    public static partial void llama_attach_threadpool(nint context, nint pool, nint batchPool);

    [LibraryImport(Llama)]
    public static partial void llama_detach_threadpool(nint context);

    [LibraryImport(Llama)]
    public static partial void llama_set_n_threads(SafeLlamaContext context, int threads, int batchThreads);

    [LibraryImport(Llama)]
    public static partial void llama_set_abort_callback(nint context, delegate* unmanaged[Cdecl]<void*, byte> callback, void* data);

    [LibraryImport(Llama)]
    public static partial int llama_set_adapters_lora(SafeLlamaContext context, nint* adapters, nuint count, float* scales);

    [LibraryImport(Llama)]
    public static partial nuint llama_state_seq_get_size(SafeLlamaContext context, int sequence);

    [LibraryImport(Llama)]
    public static partial nuint llama_state_seq_get_data(SafeLlamaContext context, byte* target, nuint size, int sequence);

    [LibraryImport(Llama)]
    public static partial nuint llama_state_seq_set_data(SafeLlamaContext context, byte* source, nuint size, int sequence);
}
