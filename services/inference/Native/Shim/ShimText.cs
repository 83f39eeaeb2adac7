namespace Fleet.Inference.Native.Shim;

/// <summary>Takes over what a shim function wrote.</summary>
internal static unsafe class ShimText
{
    /// <summary>The text, freed on the native side.</summary>
    public static string Take(byte* text, long length)
    {
        try
        {
            return text is null ? "" : System.Text.Encoding.UTF8.GetString(text, checked((int)length));
        }
        finally
        {
            ShimNative.fleet_shim_free(text);
        }
    }

    /// <summary>The text when the status is success; else its message as an exception.</summary>
    public static string Take(int status, byte* text, long length)
    {
        var taken = Take(text, length);
        return status == 0 ? taken : throw new LlamaException(taken.Length > 0 ? taken : "The chat library gave no reason.");
    }
}
