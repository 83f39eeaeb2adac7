using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Fleet.Inference.Models.Downloads;

/// <summary>
/// One attempt to fetch what is missing of a file (RFC 9110: Range with If-Range, so that a file which changed on the server begins anew), and the
/// checks before it becomes a model.
/// </summary>
internal sealed class DownloadTransfer(HttpClient client, DownloadFolder folder, DownloadsOptions options, TimeProvider time)
{
    private const int BufferBytes = 1 << 20;
    private const long CheckSpaceEvery = 64L << 20;
    private const int MaxRedirects = 8;
    private const int DiskFull = 28; // ENOSPC

    /// <param name="report">Told the bytes so far and, when known, their total.</param>
    /// <returns>The manifest with the version and size that the server told.</returns>
    public async Task<DownloadManifest> FetchAsync(string id, DownloadManifest manifest, Action<long, long?> report, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await AskAsync(id, manifest, cancellationToken);
            return await ReceiveAsync(id, manifest, response, report, cancellationToken);
        }
        catch (HttpRequestException exception) when (exception.InnerException is DownloadException refused)
        {
            throw new DownloadException(refused.Message, exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            if (exception is IOException && (exception.HResult & 0xffff) == DiskFull)
                throw new DownloadException($"The disk is full. What has arrived ({folder.Arrived(id) >> 20} MiB) is kept; make room and start the download again.", exception);
            throw new DownloadException($"The connection to {manifest.Address.Host} failed: {exception.Message}", exception) { MayPass = true };
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DownloadException($"{manifest.Address.Host} sent nothing for {options.Silence.TotalSeconds:F0} s.", exception) { MayPass = true };
        }
    }

    /// <summary>Checksum and contents of a complete file. What is wrong is of no use and discarded.</summary>
    public async Task VerifyAsync(string id, DownloadManifest manifest, CancellationToken cancellationToken)
    {
        var part = folder.PartOf(id);
        if (manifest.Sha256 is { } expected)
        {
            await using var file = new FileStream(part, FileMode.Open, FileAccess.Read, FileShare.Read, BufferBytes, FileOptions.SequentialScan);
            var actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
            if (actual != expected)
                throw new DownloadException($"The file's checksum is {actual}, expected {expected}; it is deleted.") { Discard = true };
        }

        try
        {
            var header = GgufReader.Read(part, full: true);
            if (SplitModel.IsLaterPart(manifest.FileName))
                GgufValidator.ValidatePart(header);
            else if (header.Text("general.type") == "adapter")
                GgufValidator.ValidateAdapter(header, header.Architecture);
            else
                GgufValidator.Validate(header);
        }
        catch (GgufException exception)
        {
            throw new DownloadException($"What the server sent cannot be used and is deleted: {exception.Message}", exception) { Discard = true };
        }
    }

    private async Task<HttpResponseMessage> AskAsync(string id, DownloadManifest manifest, CancellationToken cancellationToken)
    {
        var address = manifest.Address;
        var arrived = manifest.Version is null ? 0 : folder.Arrived(id);
        for (var redirects = 0; ; redirects++)
        {
            DownloadSource.CheckScheme(address, options);
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            if (arrived > 0)
            {
                request.Headers.Range = new RangeHeaderValue(arrived, null);
                request.Headers.IfRange = new RangeConditionHeaderValue(EntityTagHeaderValue.Parse(manifest.Version!));
            }

            using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            silence.CancelAfter(options.Silence);
            var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token);
            if (response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
                return response;

            using (response)
            {
                if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location)
                {
                    if (redirects == MaxRedirects)
                        throw new DownloadException($"{manifest.Address.Host} redirects in circles.");
                    address = new Uri(address, location);
                    continue;
                }

                var status = (int)response.StatusCode;
                throw new DownloadException($"{address.Host} answers {status} {response.ReasonPhrase}.")
                {
                    MayPass = status is 408 or 425 or 429 or >= 500,
                    RetryAfter = response.Headers.RetryAfter?.Delta,
                };
            }
        }
    }

    private async Task<DownloadManifest> ReceiveAsync(
        string id, DownloadManifest manifest, HttpResponseMessage response, Action<long, long?> report, CancellationToken cancellationToken)
    {
        var arrived = folder.Arrived(id);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            // Every byte may be here already and only the last step was missed; else the file has changed.
            if (response.Content.Headers.ContentRange?.Length == arrived && arrived > 0)
                return manifest with { TotalBytes = arrived };
            folder.Discard(id);
            throw new DownloadException("The server's file has changed; the download begins anew.") { MayPass = true };
        }

        var resumed = response.StatusCode == HttpStatusCode.PartialContent;
        if (resumed && response.Content.Headers.ContentRange?.From != arrived)
            throw new DownloadException($"{manifest.Address.Host} sent another part than was asked for.") { Discard = true, MayPass = true };

        var done = resumed ? arrived : 0;
        var total = resumed ? response.Content.Headers.ContentRange!.Length : response.Content.Headers.ContentLength;
        if (options.MaxBytes > 0 && total > options.MaxBytes)
            throw new DownloadException($"The file has {total >> 20} MiB; at most {options.MaxBytes >> 20} MiB are allowed.");
        if (!resumed)
            folder.Discard(id);
        CheckSpace((total ?? done) - done, arrived: done);

        // Only a strong tag promises the same bytes.
        manifest = manifest with { Version = response.Headers.ETag is { IsWeak: false } tag ? tag.ToString() : resumed ? manifest.Version : null, TotalBytes = total };
        folder.Save(id, manifest);
        report(done, total);

        await using var from = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using (var to = new FileStream(folder.PartOf(id), resumed ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0))
        {
            var buffer = new byte[BufferBytes];
            var nextCheck = done + CheckSpaceEvery;
            while (await ReadAsync(from, buffer, cancellationToken) is > 0 and var read)
            {
                if (total is { } most && done + read > most || options.MaxBytes > 0 && done + read > options.MaxBytes)
                    throw new DownloadException($"{manifest.Address.Host} sends more than it announced.") { Discard = true };
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                done += read;
                report(done, total);
                if (done >= nextCheck)
                {
                    CheckSpace((total ?? done) - done, arrived: done);
                    nextCheck = done + CheckSpaceEvery;
                }
            }

            to.Flush(flushToDisk: true);
        }

        if (total is { } expected && done != expected)
            throw new DownloadException($"The connection to {manifest.Address.Host} ended after {done:N0} of {expected:N0} bytes.") { MayPass = true };
        return manifest;
    }

    private async Task<int> ReadAsync(Stream from, byte[] buffer, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(options.Silence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, silence.Token);
        return await from.ReadAsync(buffer, either.Token);
    }

    private void CheckSpace(long missing, long arrived)
    {
        var free = folder.FreeBytes();
        if (free < missing + options.ReserveBytes)
        {
            throw new DownloadException(
                $"Not enough space on the disk: {missing >> 20} MiB are missing and {options.ReserveBytes >> 20} MiB stay in reserve, {free >> 20} MiB are free."
                + (arrived > 0 ? " What has arrived is kept; make room and start the download again." : ""));
        }
    }
}
