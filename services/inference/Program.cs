using Fleet.Inference;
using Fleet.Inference.Api;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetMessaging("inference", transactional: false);
builder.Services.AddInference();

var app = builder.Build();
app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapModels();
app.MapStatus();
app.MapGrpcService<InferenceService>();
await app.RunAsync();
