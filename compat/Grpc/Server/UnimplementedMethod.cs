using System.Globalization;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.Server;

/// <summary>Answers that need no message: everything is in the headers.</summary>
internal static class UnimplementedMethod
{
    public static Task AnswerAsync(HttpContext context, string detail)
    {
        WriteTrailersOnly(context.Response, StatusCode.Unimplemented, detail);
        return Task.CompletedTask;
    }

    public static void WriteTrailersOnly(HttpResponse response, StatusCode code, string detail)
    {
        response.ContentType = GrpcProtocol.ContentType;
        response.Headers[GrpcProtocol.StatusHeader] = ((int)code).ToString(CultureInfo.InvariantCulture);
        response.Headers[GrpcProtocol.MessageHeader] = GrpcProtocol.EncodeMessage(detail);
    }
}
