using System.Runtime.InteropServices;

namespace Fleet.Inference.Native.Shim;

/// <summary>The functions of fleet_shim.cpp, under their C names; described there.</summary>
internal static unsafe partial class ShimNative
{
    /// <summary>Resolved by <see cref="ChatShim"/>.</summary>
    public const string Library = "fleet-shim";

    // Bound for completeness only: ChatShim asks both by hand before it lets this class be resolved.
    [LibraryImport(Library)]
    public static partial byte* fleet_shim_release();

    [LibraryImport(Library)]
    public static partial int fleet_shim_interface();

    [LibraryImport(Library)]
    public static partial void fleet_shim_silence();

    [LibraryImport(Library)]
    public static partial void fleet_shim_free(byte* text);

    [LibraryImport(Library)]
    public static partial int fleet_shim_schema_to_grammar(byte* schema, long schemaLength, byte** text, long* length);

    [LibraryImport(Library)]
    public static partial int fleet_shim_templates_open(
        nint model, byte* source, long sourceLength, byte* begin, long beginLength, byte* end, long endLength, nint* templates, byte** text, long* length);

    [LibraryImport(Library)]
    public static partial void fleet_shim_templates_close(nint templates);

    [LibraryImport(Library)]
    public static partial int fleet_shim_templates_describe(SafeChatTemplates templates, byte** text, long* length);

    [LibraryImport(Library)]
    public static partial int fleet_shim_templates_apply(
        SafeChatTemplates templates, byte* request, long requestLength, nint* reader, byte** text, long* length);

    [LibraryImport(Library)]
    public static partial int fleet_shim_reader_read(SafeReplyReader reader, byte* reply, long replyLength, int partial, byte** text, long* length);

    [LibraryImport(Library)]
    public static partial void fleet_shim_reader_close(nint reader);
}
