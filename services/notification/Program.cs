using Fleet.Contracts.Events;
using Fleet.Notification.Delivery;
using Fleet.Notification.Events;
using Fleet.Notification.Notifications;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);

builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetDatabase("notificationdb", typeof(Program).Assembly);
builder.AddFleetMessaging("notification", messaging => messaging
    .AddHandler<ReplyCompleted, ReplyCompletedHandler>()
    .AddHandler<ReplyFailed, ReplyFailedHandler>()
    .AddHandler<DocumentIndexed, DocumentIndexedHandler>()
    .AddHandler<DocumentFailed, DocumentFailedHandler>()
    .AddHandler<UserRegistered, UserRegisteredHandler>()
    .AddHandler<UserErased, UserErasedHandler>()
    .AddHandler<ModelFailed, ModelFailedHandler>()
    .AddHandler<AlertRaised, AlertRaisedHandler>());
builder.AddNotifications();
builder.AddLiveDelivery();

var app = builder.Build();

app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapNotifications();
app.MapLiveDelivery();

await app.RunAsync();
