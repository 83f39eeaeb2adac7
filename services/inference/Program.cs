using Fleet.Inference;
using Fleet.Inference.Api;
using Fleet.Inference.Models;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

if (ModelCheckProcess.Run(args) is { } exitCode)
    return exitCode;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetMessaging("inference", transactional: false);
builder.Services.AddInference();

var app = builder.Build();
app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapModels();
app.MapDownloads();
app.MapStatus();
app.MapGrpcService<InferenceService>();
await app.RunAsync();
return 0;
