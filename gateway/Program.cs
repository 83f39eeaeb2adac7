using Fleet.Gateway;
using Fleet.Gateway.Edge;
using Fleet.Gateway.Health;
using Fleet.Gateway.Routing;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddGatewayOptions();
builder.AddEdge();
builder.AddFleetProxy();
builder.AddFleetHealth();

var app = builder.Build();
app.UseEdge();
app.MapDefaultEndpoints();
app.MapFleetHealth();
app.MapFleetProxy();
await app.RunAsync();
