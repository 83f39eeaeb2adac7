using Fleet.Auth.ApiKeys;
using Fleet.Auth.Data;
using Fleet.Auth.Events;
using Fleet.Auth.SigningKeys;
using Fleet.Auth.Tokens;
using Fleet.Auth.Users;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
// Here and not in the defaults: the generator finds the request types of the project that makes this call.
builder.Services.AddValidation();
builder.AddFleetDatabase("authdb", typeof(Program).Assembly);
builder.AddFleetDbContext<AuthDbContext>();
builder.AddFleetMessaging("auth");
builder.AddSigningKeys();
builder.AddTokens();
builder.AddFleetAuthentication();
builder.AddOwnKeysToTokenValidation();
builder.AddUsers();
builder.AddApiKeys();
builder.Services.AddScoped<AuthEvents>();

var app = builder.Build();
// Before authorisation: these paths authenticate clients, not users.
app.UseOpenIdConnect();
app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapUsers();
app.MapTokens();
app.MapApiKeys();
await app.RunAsync();
