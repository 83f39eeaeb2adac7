using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Fleet.Cli.Models;

/// <summary>
/// One download into the models folder. What has arrived stays in a <c>.part</c> file, with the version (entity tag) it belongs to beside
/// it; the next attempt asks for the rest of that version and begins again when the server has another.
/// </summary>
internal sealed class ModelDownload(ModelFolder folder, ModelSource source, string? sha256, HttpMessageHandler? handler = null)
{
    private const int BufferBytes = 1 << 20;

    /// <param name="report">Told the bytes so far and, when known, their total.</param>
    /// <param name="cancellationToken">Ends the download; what has arrived is kept.</param>
    public async Task<FileInfo> RunAsync(Action<long, long?> report, CancellationToken cancellationToken)
    {
        var target = folder.TargetOf(source.FileName);
        var part = target + ".part";
        var versionFile = part + ".etag";
        using var client = handler is null ? new HttpClient() : new HttpClient(handler, disposeHandler: false);
        client.Timeout = Timeout.InfiniteTimeSpan;

        using var response = await AskAsync(client, part, versionFile, cancellationToken);
        if (response.StatusCode != HttpStatusCode.RequestedRangeNotSatisfiable)
            await ReceiveAsync(response, part, versionFile, report, cancellationToken);

        await VerifyAsync(part, versionFile, cancellationToken);
        File.Move(part, target);
        File.Delete(versionFile);
        return new FileInfo(target);
    }

    private async Task<HttpResponseMessage> AskAsync(HttpClient client, string part, string versionFile, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, source.Address);
        if (File.Exists(part) && File.Exists(versionFile) && EntityTagHeaderValue.TryParse(await File.ReadAllTextAsync(versionFile, cancellationToken), out var tag))
        {
            request.Headers.Range = new RangeHeaderValue(new FileInfo(part).Length, null);
            request.Headers.IfRange = new RangeConditionHeaderValue(tag);
        }

        try
        {
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            // 416: every byte is here already and only the last step was missed.
            if (response.IsSuccessStatusCode || (request.Headers.Range is not null && response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable))
                return response;
            using (response)
                throw new CommandException($"{source.Address} answers {(int)response.StatusCode} {response.ReasonPhrase}.");
        }
        catch (HttpRequestException exception)
        {
            throw new CommandException($"{source.Address.Host} cannot be reached: {exception.Message}", exception);
        }
    }

    private async Task ReceiveAsync(
        HttpResponseMessage response, string part, string versionFile, Action<long, long?> report, CancellationToken cancellationToken)
    {
        var resumed = response.StatusCode == HttpStatusCode.PartialContent;
        var done = resumed ? new FileInfo(part).Length : 0;
        var total = response.Content.Headers.ContentLength is { } rest ? done + rest : (long?)null;
        folder.CheckSpace((total ?? done) - done);
        // Only a strong tag promises the same bytes.
        if (response.Headers.ETag is { IsWeak: false } tag)
            await File.WriteAllTextAsync(versionFile, tag.ToString(), cancellationToken);
        else
            File.Delete(versionFile);

        try
        {
            await using var from = await response.Content.ReadAsStreamAsync(cancellationToken);
            await using var to = new FileStream(part, resumed ? FileMode.Append : FileMode.Create, FileAccess.Write);
            var buffer = new byte[BufferBytes];
            int read;
            while ((read = await from.ReadAsync(buffer, cancellationToken)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                done += read;
                report(done, total);
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw new CommandException($"The connection broke after {done >> 20} MiB. The same command goes on from there.", exception);
        }

        if (total is { } expected && done != expected)
            throw new CommandException($"The connection ended after {done >> 20} of {expected >> 20} MiB. The same command goes on from there.");
    }

    private async Task VerifyAsync(string part, string versionFile, CancellationToken cancellationToken)
    {
        try
        {
            ModelFolder.CheckMagic(part);
            if (sha256 is null)
                return;
            await using var file = File.OpenRead(part);
            var actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
            if (!actual.Equals(sha256, StringComparison.OrdinalIgnoreCase))
                throw new CommandException($"The file's hash is {actual}, expected {sha256}. It is deleted.");
        }
        catch (CommandException)
        {
            File.Delete(part);
            File.Delete(versionFile);
            throw;
        }
    }
}
