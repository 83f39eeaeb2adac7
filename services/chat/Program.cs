using Fleet.Chat;
using Fleet.Chat.Data;
using Fleet.Chat.Events;
using Fleet.Chat.Generation;
using Fleet.Chat.OpenAi;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;
using Fleet.Chat.WebSockets;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetDatabase("chatdb", typeof(Program).Assembly);
builder.AddFleetDbContext<ChatDbContext>();
builder.AddFleetMessaging("chat", messaging => messaging.AddHandler<UserErased, UserErasedHandler>());
// Here as well as in the defaults: the validation of this assembly's types is generated at this call.
builder.Services.AddValidation();
builder.AddClients();
builder.AddSessions();
builder.AddRuns();
builder.AddChatSocket();
builder.AddOpenAi();

var app = builder.Build();
app.UseOpenAiRequestIds();
// Before authentication, which looks at a socket's subprotocols.
app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(30) });
app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapSessions();
app.MapRuns();
app.MapFeedback();
app.MapGeneration();
app.MapCircuits();
app.MapChatSocket();
app.MapOpenAi();
await app.RunAsync();
