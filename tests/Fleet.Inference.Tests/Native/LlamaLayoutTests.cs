using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Native;

/// <summary>
/// The C# structs against llama.h of v0.5.0. The table holds what gcc printed for the header in the npm package's source bundle; the probe
/// compiles declarations with the same fields again on this machine, so that a C compiler and not only a table agrees with the runtime.
/// </summary>
[Collection(nameof(NativeTests))]
public sealed class LlamaLayoutTests(NativeFixture native)
{
    private static readonly (Type Struct, int Size, string Offsets)[] Header =
    [
        (typeof(llama_model_params), 80,
            "devices 0, tensor_buft_overrides 8, n_gpu_layers 16, split_mode 20, load_mode 24, lazy_mode 28, main_gpu 32, tensor_split 40, progress_callback 48, "
            + "progress_callback_user_data 56, kv_overrides 64, vocab_only 72, check_tensors 73, use_extra_bufts 74, no_host 75, no_alloc 76, load_mtp 77"),
        (typeof(llama_context_params), 160,
            "n_ctx 0, n_batch 4, n_ubatch 8, n_seq_max 12, n_rs_seq 16, n_outputs_max 20, n_outputs_max_per_seq 24, n_threads 28, n_threads_batch 32, ctx_type 36, "
            + "rope_scaling_type 40, pooling_type 44, attention_type 48, flash_attn_type 52, rope_freq_base 56, rope_freq_scale 60, yarn_ext_factor 64, "
            + "yarn_attn_factor 68, yarn_beta_fast 72, yarn_beta_slow 76, yarn_orig_ctx 80, defrag_thold 84, cb_eval 88, cb_eval_user_data 96, type_k 104, "
            + "type_v 108, abort_callback 112, abort_callback_data 120, embeddings 128, offload_kqv 129, no_perf 130, op_offload 131, swa_full 132, "
            + "kv_unified 133, samplers 136, n_samplers 144, ctx_other 152"),
        (typeof(llama_batch), 56, "n_tokens 0, token 8, embd 16, pos 24, n_seq_id 32, seq_id 40, logits 48"),
        (typeof(llama_chat_message), 16, "role 0, content 8"),
        (typeof(ggml_backend_dev_caps), 5, "async 0, host_buffer 1, buffer_from_host_ptr 2, events 3, mmap_support 4"),
        (typeof(ggml_backend_dev_props), 56, "name 0, description 8, memory_free 16, memory_total 24, type 32, device_id 40, caps 48"),
        (typeof(ggml_threadpool_params), 528, "cpumask 0, n_threads 512, prio 516, poll 520, strict_cpu 524, paused 525"),
    ];

    [Fact]
    public void Structs_HaveTheOffsetsOfTheHeader()
    {
        foreach (var (type, size, offsets) in Header)
            Assert.Equal($"{type.Name} {size}: {offsets}", Describe(type));
    }

    [Fact]
    public async Task Structs_HaveTheOffsetsACompilerGives()
    {
        var compiler = ((string[])["gcc", "cc", "clang"]).Select(Find).FirstOrDefault(path => path is not null);
        Assert.SkipWhen(compiler is null, "There is no C compiler on this machine; the table above is still checked.");
        var directory = Directory.CreateTempSubdirectory("fleet-layout-").FullName;
        try
        {
            var source = Path.Combine(directory, "layout.c");
            await File.WriteAllTextAsync(source, Program());
            Assert.Equal("", await RunAsync(compiler!, "-o", Path.Combine(directory, "layout"), source));

            var printed = await RunAsync(Path.Combine(directory, "layout"));

            Assert.Equal(string.Join('\n', Header.Select(entry => Describe(entry.Struct))), printed.Trim());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void Defaults_ReadBackFromTheLibrary_AreThoseOfTheRelease()
    {
        native.RequireLibraries();

        var model = LlamaNative.llama_model_default_params();
        var context = LlamaNative.llama_context_default_params();

        Assert.Equal((-1, -1, true, false), (model.n_gpu_layers, model.load_mode, model.use_extra_bufts, model.vocab_only));
        Assert.Equal((512u, 2048u, 512u, 1u, 1u), (context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max, context.n_outputs_max_per_seq));
        Assert.Equal((4, 4, -1, 1, 1), (context.n_threads, context.n_threads_batch, context.flash_attn_type, context.type_k, context.type_v));
        Assert.Equal((true, false, true), (context.swa_full, context.kv_unified, context.no_perf));
    }

    private static string Describe(Type type) =>
        $"{type.Name} {SizeOf(type)}: {string.Join(", ", Fields(type).Select(field => $"{field.Name} {OffsetOf(field)}"))}";

    private static FieldInfo[] Fields(Type type) => type.GetFields(BindingFlags.Instance | BindingFlags.Public);

    private static int SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    // Where the runtime itself puts the field (the low bits of CoreCLR's FieldDesc); Marshal.OffsetOf describes the marshalled layout, in which a bool is four bytes.
    private static unsafe int OffsetOf(FieldInfo field) => (int)(*(uint*)(field.FieldHandle.Value + 12) & 0x7FF_FFFF);

    /// <summary>A C program that declares the structs from our fields' types and prints sizes and offsets.</summary>
    private static string Program()
    {
        var lines = new List<string> { "#include <stddef.h>", "#include <stdio.h>", "#include <stdint.h>", "#include <stdbool.h>" };
        foreach (var (type, _, _) in Header)
        {
            lines.Add($"struct {type.Name} {{");
            lines.AddRange(Fields(type).Select(field => $"  {Declare(field)};"));
            lines.Add("};");
        }

        lines.Add("int main(void) {");
        foreach (var (type, _, _) in Header)
        {
            lines.Add($"  printf(\"{type.Name} %zu:\", sizeof(struct {type.Name}));");
            lines.AddRange(Fields(type).Select((field, index) => $"  printf(\"{(index == 0 ? "" : ",")} {field.Name} %zu\", offsetof(struct {type.Name}, {field.Name}));"));
            lines.Add("  printf(\"\\n\");");
        }

        lines.Add("  return 0; }");
        return string.Join('\n', lines);
    }

    private static string Declare(FieldInfo field) => field.FieldType switch
    {
        var type when type == typeof(int) => $"int32_t {field.Name}",
        var type when type == typeof(uint) => $"uint32_t {field.Name}",
        var type when type == typeof(float) => $"float {field.Name}",
        var type when type == typeof(bool) => $"bool {field.Name}",
        var type when type == typeof(nuint) => $"size_t {field.Name}",
        var type when type == typeof(ggml_backend_dev_caps) => $"struct ggml_backend_dev_caps {field.Name}",
        var type when type.IsPointer || type.IsFunctionPointer || type == typeof(nint) => $"void * {field.Name}",
        _ when field.GetCustomAttribute<FixedBufferAttribute>() is { } buffer => $"bool {field.Name}[{buffer.Length.ToString(CultureInfo.InvariantCulture)}]",
        _ => throw new NotSupportedException($"{field.DeclaringType!.Name}.{field.Name}"),
    };

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await error);
        return await output;
    }
}
