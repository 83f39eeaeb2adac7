using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Analytics.Telemetry;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Analytics.Usage;

internal static class UsageEndpoints
{
    public static void AddUsage(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IValidateOptions<UsageOptions>, UsageOptionsValidator>();
        builder.Services.AddOptions<UsageOptions>().BindConfiguration(UsageOptions.SectionName).ValidateOnStart();
        builder.Services.AddValidation();
        builder.Services.AddSingleton<UsageStore>();
        builder.Services.AddSingleton<AnalyticsMetrics>();
    }

    public static void MapUsage(this WebApplication app)
    {
        var group = app.MapGroup("/api/analytics").WithTags("Analytics").RequireAuthorization(FleetPolicies.User);

        group.MapGet("/usage/me", Mine).WithName("MyUsage").WithSummary("Your own use of Fleet by model and UTC day");
        group.MapGet("/usage", ByUser).WithName("UsageByUser").WithSummary("Everybody's use, for administrators")
            .RequireAuthorization(FleetPolicies.Administrator);
    }

    private static async Task<Results<Ok<UsageReport>, ProblemHttpResult>> Mine(
        string? from, string? to, ClaimsPrincipal user, UsageStore store, TimeProvider time, IOptions<UsageOptions> options,
        CancellationToken cancellationToken)
    {
        if (UsageRange.TryCreate(from, to, Today(time), options.Value, out var error) is not { } range)
            return BadRange(error);

        return TypedResults.Ok(await store.ReadAsync(user.UserId(), range, cancellationToken));
    }

    private static async Task<Results<Ok<CursorPage<UserUsage>>, ProblemHttpResult>> ByUser(
        string? from, string? to, string? cursor, UsageStore store, TimeProvider time, IOptions<UsageOptions> options,
        CancellationToken cancellationToken, [Range(1, 200)] int limit = 50)
    {
        if (UsageRange.TryCreate(from, to, Today(time), options.Value, out var error) is not { } range)
            return BadRange(error);

        Guid? after = null;
        if (cursor is not null)
        {
            if (!Cursor.TryDecode(cursor, out var position))
                return Problems.Create(StatusCodes.Status400BadRequest, "invalid-cursor", "The cursor is not one of ours.");

            after = position.Id;
        }

        var users = await store.ListByUserAsync(range, after, limit + 1, cancellationToken);
        var more = users.Count > limit;
        var page = more ? users.Take(limit).ToList() : users;
        return TypedResults.Ok(new CursorPage<UserUsage>(page, more ? new Cursor(default, page[^1].UserId).Encode() : null));
    }

    private static DateOnly Today(TimeProvider time) => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    private static ProblemHttpResult BadRange(string error) =>
        Problems.Create(StatusCodes.Status400BadRequest, "invalid-range", "The range is not valid.", error);
}
