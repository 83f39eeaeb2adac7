using Fleet.ServiceDefaults;
using Fleet.Web.Pages;

var builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    // Beside the program, wherever it is started from.
    WebRootPath = Path.Combine(AppContext.BaseDirectory, "wwwroot"),
});
builder.AddServiceDefaults();
builder.AddPages();

var app = builder.Build();
app.UseFleetDefaults();
app.UsePages();
app.MapDefaultEndpoints();
app.MapPages();
await app.RunAsync();
