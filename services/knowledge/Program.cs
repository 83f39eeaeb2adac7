using Fleet.Knowledge.Clients;
using Fleet.Knowledge.Collections;
using Fleet.Knowledge.Documents;
using Fleet.Knowledge.Events;
using Fleet.Knowledge.Ingestion;
using Fleet.Knowledge.Retrieval;
using Fleet.ServiceDefaults;
using Fleet.ServiceDefaults.Data;
using Fleet.ServiceDefaults.Messaging;
using Fleet.ServiceDefaults.Security;

var builder = WebApplication.CreateBuilder(args);

builder.AddServiceDefaults();
builder.AddFleetAuthentication();
builder.AddFleetDatabase("knowledgedb", typeof(Program).Assembly);
builder.AddFleetMessaging("knowledge", messaging => messaging.AddUserErasure());
builder.AddInferenceClient();
builder.AddCollections();
builder.AddDocuments();
builder.AddIngestion();
builder.AddRetrieval();

var app = builder.Build();

app.UseFleetDefaults();
app.MapDefaultEndpoints();
app.MapCollections();
app.MapDocuments();
app.MapRetrieval();

await app.RunAsync();
