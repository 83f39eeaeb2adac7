using Fleet.Inference.Engine.Chat;
using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Native.Shim;

/// <summary>Reads one reply by the rules its prompt was made with. One thread at a time.</summary>
internal sealed unsafe class SafeReplyReader : SafeHandleZeroOrMinusOneIsInvalid, IReplyReader
{
    public SafeReplyReader(nint reader)
        : base(ownsHandle: true) => SetHandle(reader);

    public ReadReply? Read(ReadOnlySpan<byte> reply, bool partial)
    {
        byte* text;
        long length;
        int status;
        fixed (byte* bytes = reply)
            status = ShimNative.fleet_shim_reader_read(this, bytes, reply.Length, partial ? 1 : 0, &text, &length);
        var answer = ShimText.Take(text, length);

        // A refusal means that the text is not what the format promises.
        return status == 0 ? ChatTemplateJson.ReadReply(answer) : null;
    }

    protected override bool ReleaseHandle()
    {
        ShimNative.fleet_shim_reader_close(handle);
        return true;
    }
}
