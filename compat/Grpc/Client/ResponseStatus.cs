using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Client;

/// <summary>Turns what HTTP has to say about a call into a gRPC status.</summary>
internal static class ResponseStatus
{
    /// <summary>The fields of a response or of its trailers that are the application's metadata.</summary>
    public static Metadata ReadMetadata(System.Net.Http.Headers.HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers.NonValidated)
        {
            if (GrpcProtocol.IsReserved(name))
                continue;
            foreach (var value in values)
                GrpcProtocol.AddReceived(metadata, name, value);
        }

        return metadata;
    }

    /// <summary>The status that the peer sent, or null where it sent none.</summary>
    public static Status? Read(System.Net.Http.Headers.HttpHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(GrpcProtocol.StatusHeader, out var codes))
            return null;
        var detail = headers.NonValidated.TryGetValues(GrpcProtocol.MessageHeader, out var messages)
            ? GrpcProtocol.DecodeMessage(messages.ToString())
            : string.Empty;
        if (!int.TryParse(codes.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
            return new Status(StatusCode.Cancelled, $"The peer sent '{codes}' as grpc-status. {detail}");
        // A code of a later protocol version is unknown, but its text may still help.
        return new Status(Enum.IsDefined((StatusCode)code) ? (StatusCode)code : StatusCode.Unknown, detail);
    }

    /// <summary>A status where the headers alone end the call, else null.</summary>
    public static Status? Judge(HttpResponseMessage response)
    {
        if (Read(response.Headers) is { } status)
            return status;
        if (response.StatusCode != HttpStatusCode.OK)
            return FromHttp(response.StatusCode);
        var headers = response.Content.Headers.NonValidated;
        var contentType = headers.TryGetValues("Content-Type", out var types) ? types.ToString() : null;
        return GrpcProtocol.IsGrpcContentType(contentType)
            ? null
            : new Status(StatusCode.Cancelled, $"Bad gRPC response. Invalid content-type value: {contentType}");
    }

    public static Status FromHttp(HttpStatusCode code) => new(
        code switch
        {
            HttpStatusCode.BadRequest or HttpStatusCode.RequestHeaderFieldsTooLarge => StatusCode.Internal,
            HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
            HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
            HttpStatusCode.NotFound => StatusCode.Unimplemented,
            HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout =>
                StatusCode.Unavailable,
            _ => StatusCode.Unknown,
        },
        string.Create(CultureInfo.InvariantCulture, $"Bad gRPC response. HTTP status code: {(int)code}"));

    public static Status FromException(Exception exception)
    {
        var code = StatusCode.Internal;
        for (var current = exception; current is not null; current = current.InnerException)
        {
            if (current is HttpProtocolException protocol)
            {
                code = FromHttp2(protocol.ErrorCode);
                break;
            }

            // The connection could not be made, or broke.
            if (current is SocketException or IOException
                or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError })
                code = StatusCode.Unavailable;
        }

        return new Status(code, $"Error in a gRPC call. {exception.GetType().Name}: {exception.Message}", exception);
    }

    // The table of the protocol: HTTP/2 error codes, RFC 9113 section 7.
    private static StatusCode FromHttp2(long errorCode) => errorCode switch
    {
        0x7 => StatusCode.Unavailable, // REFUSED_STREAM: never processed
        0x8 => StatusCode.Cancelled, // CANCEL
        0xb => StatusCode.ResourceExhausted, // ENHANCE_YOUR_CALM
        0xc => StatusCode.PermissionDenied, // INADEQUATE_SECURITY
        _ => StatusCode.Internal,
    };
}
