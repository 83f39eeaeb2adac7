using System.Security.Cryptography;
using Microsoft.Extensions.Options;

namespace Fleet.Knowledge.Documents;

/// <summary>An upload that has arrived but belongs to no document yet; deleted on dispose unless it was kept.</summary>
internal sealed class IncomingFile(string path, long sizeBytes, byte[] hash, byte[] head) : IDisposable
{
    public long SizeBytes => sizeBytes;

    /// <summary>SHA-256 of the content.</summary>
    public byte[] Hash => hash;

    /// <summary>The first bytes, for type detection.</summary>
    public ReadOnlySpan<byte> Head => head;

    public void MoveTo(string destination) => File.Move(path, destination, overwrite: true);

    public void Dispose() => File.Delete(path);
}

/// <summary>Original files on disk. Names are document ids; nothing a client says becomes part of a path.</summary>
internal sealed class DocumentFiles
{
    private const int HeadBytes = 64 * 1024;
    private const int BufferBytes = 128 * 1024;

    private readonly string _documents;
    private readonly string _incoming;
    private readonly long _maxBytes;

    public DocumentFiles(IOptions<DocumentOptions> options)
    {
        var root = Path.GetFullPath(options.Value.StorageDirectory);
        _documents = Path.Combine(root, "documents");
        _incoming = Path.Combine(root, "incoming");
        _maxBytes = options.Value.MaxUploadBytes;
        Directory.CreateDirectory(_documents);
        Directory.CreateDirectory(_incoming);
    }

    /// <returns>Null when the content is larger than allowed.</returns>
    public async Task<IncomingFile?> ReceiveAsync(Stream content, CancellationToken cancellationToken)
    {
        var path = Path.Combine(_incoming, Guid.CreateVersion7().ToString("N"));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var head = new MemoryStream();
        var buffer = new byte[BufferBytes];
        var size = 0L;
        try
        {
            await using (var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true))
            {
                int read;
                while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
                {
                    size += read;
                    if (size > _maxBytes)
                    {
                        file.Close();
                        File.Delete(path);
                        return null;
                    }

                    hash.AppendData(buffer, 0, read);
                    if (head.Length < HeadBytes)
                        head.Write(buffer, 0, (int)Math.Min(read, HeadBytes - head.Length));

                    await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }
            }

            return new IncomingFile(path, size, hash.GetHashAndReset(), head.ToArray());
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    public void Keep(IncomingFile incoming, Guid documentId)
    {
        var path = PathOf(documentId);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        incoming.MoveTo(path);
    }

    public bool Exists(Guid documentId) => File.Exists(PathOf(documentId));

    public FileStream OpenRead(Guid documentId) =>
        new(PathOf(documentId), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, BufferBytes, useAsync: true);

    public Task<byte[]> ReadAsync(Guid documentId, CancellationToken cancellationToken) =>
        File.ReadAllBytesAsync(PathOf(documentId), cancellationToken);

    public void Delete(Guid documentId)
    {
        var path = PathOf(documentId);
        if (File.Exists(path))
            File.Delete(path);
    }

    // The last digits of a UUIDv7 are random: 256 folders of even size.
    private string PathOf(Guid documentId)
    {
        var name = documentId.ToString("N");
        return Path.Combine(_documents, name[^2..], name);
    }
}
