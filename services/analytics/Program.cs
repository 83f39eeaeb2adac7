using Fleet.Analytics.Events;
using Fleet.Analytics.Usage;
using Fleet.Contracts.Events;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);

builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetDatabase("analyticsdb", typeof(Program).Assembly);
builder.AddFleetMessaging("analytics", messaging => messaging
    .AddHandler<ReplyCompleted, ReplyCompletedHandler>()
    .AddHandler<ReplyFailed, ReplyFailedHandler>()
    .AddHandler<FeedbackGiven, FeedbackGivenHandler>()
    .AddHandler<UserRegistered, UserRegisteredHandler>()
    .AddHandler<UserErased, UserErasedHandler>()
    .AddHandler<DocumentIndexed, DocumentIndexedHandler>());
builder.AddUsage();

var app = builder.Build();

app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapUsage();

await app.RunAsync();
