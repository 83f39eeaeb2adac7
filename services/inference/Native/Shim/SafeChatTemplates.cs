using System.Text;
using Fleet.Inference.Engine.Chat;
using Microsoft.Win32.SafeHandles;

namespace Fleet.Inference.Native.Shim;

/// <summary>A model's chat templates, parsed. Thread-safe; holds nothing of the model it was read from.</summary>
internal sealed unsafe class SafeChatTemplates : SafeHandleZeroOrMinusOneIsInvalid, IChatTemplates
{
    private SafeChatTemplates(nint templates)
        : base(ownsHandle: true)
    {
        SetHandle(templates);
        byte* text;
        long length;
        var status = ShimNative.fleet_shim_templates_describe(this, &text, &length);
        Description = ChatTemplateJson.ReadDescription(ShimText.Take(status, text, length));
    }

    public ChatTemplateDescription Description { get; }

    /// <summary>The templates in a model's file; llama.cpp's own ChatML when it has none.</summary>
    public static SafeChatTemplates Of(SafeLlamaModel model)
    {
        Check(model.ChatTemplate);
        Check(model.ToolTemplate);
        var held = false;
        try
        {
            model.DangerousAddRef(ref held);
            return Open(model.DangerousGetHandle(), "", "", "");
        }
        finally
        {
            if (held)
                model.DangerousRelease();
        }
    }

    /// <summary>A template as text, with what the model's begin and end tokens look like.</summary>
    public static SafeChatTemplates Parse(string source, string begin, string end)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        Check(source);
        return Open(0, source, begin, end);
    }

    public RenderedChat Render(string request, bool withReader)
    {
        var utf8 = Encoding.UTF8.GetBytes(request);
        nint reader = 0;
        byte* text;
        long length;
        int status;
        fixed (byte* bytes = utf8)
            status = ShimNative.fleet_shim_templates_apply(this, bytes, utf8.Length, withReader ? &reader : null, &text, &length);

        // Before the text is looked at: whatever happens to it, the reader is freed.
        var opened = reader == 0 ? null : new SafeReplyReader(reader);
        try
        {
            return ChatTemplateJson.ReadRendering(ShimText.Take(status, text, length)) with { Reader = opened };
        }
        catch
        {
            opened?.Dispose();
            throw;
        }
    }

    protected override bool ReleaseHandle()
    {
        ShimNative.fleet_shim_templates_close(handle);
        return true;
    }

    private static void Check(string? source)
    {
        if (source is not null && TemplateGuard.WhyNot(source) is { } reason)
            throw new LlamaException($"The chat template is not parsed: {reason}.");
    }

    private static SafeChatTemplates Open(nint model, string source, string begin, string end)
    {
        var (sourceBytes, beginBytes, endBytes) = (Encoding.UTF8.GetBytes(source), Encoding.UTF8.GetBytes(begin), Encoding.UTF8.GetBytes(end));
        nint templates;
        byte* text;
        long length;
        int status;
        fixed (byte* sourcePointer = sourceBytes, beginPointer = beginBytes, endPointer = endBytes)
        {
            status = ShimNative.fleet_shim_templates_open(
                model, sourcePointer, sourceBytes.Length, beginPointer, beginBytes.Length, endPointer, endBytes.Length, &templates, &text, &length);
        }

        ShimText.Take(status, text, length);
        return new SafeChatTemplates(templates);
    }
}
