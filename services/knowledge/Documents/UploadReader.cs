using System.Net;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Fleet.Knowledge.Documents;

internal enum UploadError
{
    None,
    NotMultipart,
    NoFile,
    TooLarge,
}

/// <param name="Name">The file's own name, without any folder.</param>
internal sealed record Upload(string Name, IncomingFile File);

/// <summary>Reads the part <c>file</c> of a multipart body straight to disk; nothing of it is held in memory.</summary>
internal static class UploadReader
{
    private const string FileField = "file";
    private const int MaxBoundaryLength = 200;
    private const int MaxNameLength = 255;

    /// <summary>What multipart adds around the file.</summary>
    public const int MultipartOverheadBytes = 64 * 1024;

    public static async Task<(Upload? Upload, UploadError Error)> ReadAsync(
        HttpRequest request, DocumentFiles files, CancellationToken cancellationToken)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            return (null, UploadError.NotMultipart);

        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).ToString();
        if (boundary.Length is 0 or > MaxBoundaryLength)
            return (null, UploadError.NotMultipart);

        try
        {
            var reader = new MultipartReader(boundary, request.Body);
            while (await reader.ReadNextSectionAsync(cancellationToken) is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)
                    || HeaderUtilities.RemoveQuotes(disposition.Name) != FileField || !disposition.IsFileDisposition())
                {
                    continue;
                }

                var received = await files.ReceiveAsync(section.Body, cancellationToken);
                return received is null ? (null, UploadError.TooLarge) : (new Upload(NameOf(disposition), received), UploadError.None);
            }

            return (null, UploadError.NoFile);
        }
        catch (Exception exception) when (exception is InvalidDataException || (exception is IOException && exception is not BadHttpRequestException))
        {
            // The body is cut off or is not what its boundary says.
            return (null, UploadError.NotMultipart);
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == (int)HttpStatusCode.RequestEntityTooLarge)
        {
            return (null, UploadError.TooLarge);
        }
    }

    private static string NameOf(ContentDispositionHeaderValue disposition)
    {
        var name = disposition.FileNameStar.HasValue ? disposition.FileNameStar.Value! : HeaderUtilities.RemoveQuotes(disposition.FileName).ToString();
        // Some clients send a whole path, with either kind of slash.
        name = name[(name.LastIndexOfAny(['/', '\\']) + 1)..];
        // macOS sends Korean names decomposed.
        name = new string([.. Clean(name).Where(character => !char.IsControl(character))]).Trim();
        if (name.Length == 0)
            return "untitled.txt";

        return name.Length <= MaxNameLength ? name : name[..(MaxNameLength - Path.GetExtension(name).Length)] + Path.GetExtension(name);
    }

    private static string Clean(string name)
    {
        try
        {
            return name.Normalize(NormalizationForm.FormC);
        }
        catch (ArgumentException)
        {
            // Unpaired surrogates: no system's file name.
            return "untitled" + Path.GetExtension(name);
        }
    }
}
