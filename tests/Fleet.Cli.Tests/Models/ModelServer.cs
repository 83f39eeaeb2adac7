using System.Net;
using System.Net.Http.Headers;

namespace Fleet.Cli.Tests.Models;

/// <summary>A server of one file with ranges and entity tags that can break a connection half-way.</summary>
internal sealed class ModelServer(byte[] content) : HttpMessageHandler
{
    public byte[] Content { get; set; } = content;

    public string EntityTag { get; set; } = "\"v1\"";

    /// <summary>The next answer's body ends with an error after so many bytes.</summary>
    public int? BreakAfter { get; set; }

    public List<string> Ranges { get; } = [];

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Ranges.Add(request.Headers.Range?.ToString() ?? "whole");
        var from = request.Headers.IfRange?.EntityTag?.ToString() == EntityTag ? (int?)request.Headers.Range?.Ranges.Single().From : null;
        if (from >= Content.Length)
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.RequestedRangeNotSatisfiable) { Content = new ByteArrayContent([]) });

        var body = Content.AsMemory(from ?? 0);
        var response = new HttpResponseMessage(from is null ? HttpStatusCode.OK : HttpStatusCode.PartialContent)
        {
            Content = BreakAfter is { } bytes ? new StreamContent(new BreakingStream(body[..bytes])) : new ReadOnlyMemoryContent(body),
        };
        response.Content.Headers.ContentLength = body.Length;
        response.Headers.ETag = EntityTagHeaderValue.Parse(EntityTag);
        BreakAfter = null;
        return Task.FromResult(response);
    }

    private sealed class BreakingStream(ReadOnlyMemory<byte> bytes) : MemoryStream(bytes.ToArray())
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is > 0 and var read ? read : throw new IOException("connection reset");
    }
}
