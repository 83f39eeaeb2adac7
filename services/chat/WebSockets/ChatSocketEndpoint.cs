using Fleet.Chat.Clients;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;
using Fleet.Chat.Telemetry;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Authentication.JwtBearer;

namespace Fleet.Chat.WebSockets;

internal static class ChatSocketEndpoint
{
    /// <summary>The protocol's name; the answer to a browser that offers it beside its token.</summary>
    private const string Subprotocol = "fleet.v1";

    public static void MapChatSocket(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/ws/chat/{sessionId:guid}", ConnectAsync).WithTags("Chat").WithName("ChatSocket")
            .WithSummary("A conversation over a WebSocket").RequireAuthorization(FleetPolicies.User);

    /// <summary>A browser cannot set headers on a WebSocket: it offers its token as a subprotocol.</summary>
    public static void AddSocketAuthentication(this IServiceCollection services) =>
        services.PostConfigure<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme, jwt =>
        {
            jwt.Events ??= new JwtBearerEvents();
            var previous = jwt.Events.OnMessageReceived;
            jwt.Events.OnMessageReceived = async context =>
            {
                await previous(context).ConfigureAwait(false);
                if (string.IsNullOrEmpty(context.Request.Headers.Authorization) && context.HttpContext.WebSockets.IsWebSocketRequest)
                    context.Token ??= BearerToken.FromSubprotocols(context.Request);
            };
        });

    private static async Task<IResult> ConnectAsync(Guid sessionId, HttpContext http, SessionStore sessions, SocketHub hub, RunReader reader,
        IServiceScopeFactory scopes, ChatMetrics metrics, IHostApplicationLifetime lifetime, ILogger<ChatSocket> logger, CancellationToken cancellationToken)
    {
        if (!http.WebSockets.IsWebSocketRequest)
            return Problems.Create(StatusCodes.Status400BadRequest, "websocket-expected", "This route takes WebSocket connections only");
        var asker = RunEndpoints.AskerOf(http, "websocket");
        if (await sessions.FindAsync(asker.UserId, sessionId, cancellationToken).ConfigureAwait(false) is null) return Problems.NotFound("session");

        var subprotocol = http.WebSockets.WebSocketRequestedProtocols.Contains(Subprotocol) ? Subprotocol : null;
        using var socket = await http.WebSockets.AcceptWebSocketAsync(subprotocol).ConfigureAwait(false);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        metrics.SocketOpened();
        try
        {
            await new ChatSocket(socket, asker, sessionId, hub, reader, scopes, logger).RunAsync(ended.Token).ConfigureAwait(false);
        }
        finally
        {
            metrics.SocketClosed();
        }

        return TypedResults.Empty;
    }
}
