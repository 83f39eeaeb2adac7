using System.ComponentModel.DataAnnotations;
using System.Security.Claims;
using Fleet.Auth.Data;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace Fleet.Auth.Users;

/// <param name="Username">3 to 32 letters, digits, dots, dashes or underscores; beginning with a letter or digit.</param>
public sealed record RegisterRequest(
    [property: Required, RegularExpression("^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$", ErrorMessage = "3 to 32 letters, digits, '.', '_' or '-'.")] string Username,
    [property: Required, StringLength(254), EmailAddress, SingleLine] string Email,
    [property: Required, StringLength(PasswordRules.MaxLength, MinimumLength = PasswordRules.MinLength)] string Password);

/// <param name="DisplayName">How others see this person; an empty text takes it away.</param>
public sealed record UpdateProfileRequest([property: StringLength(80), SingleLine] string? DisplayName);

public sealed record UserResponse(
    Guid Id, string Username, string Email, string DisplayName, IReadOnlyList<string> Roles, string Tenant, DateTimeOffset CreatedAt);

internal static class UserEndpoints
{
    public static IEndpointRouteBuilder MapUsers(this IEndpointRouteBuilder endpoints)
    {
        var group = endpoints.MapGroup("/api/auth").WithTags("Account");
        group.MapPost("/register", RegisterAsync).AllowAnonymous().WithName("Register").WithSummary("Create an account");

        var me = group.MapGroup("/me").RequireAuthorization(FleetPolicies.User);
        me.MapGet("", GetAsync).WithName("GetProfile").WithSummary("Who is signed in");
        me.MapPatch("", UpdateAsync).WithName("UpdateProfile").WithSummary("Change the display name").RequireAuthorization(UserPolicies.Account);
        return endpoints;
    }

    private static async Task<Results<Created<UserResponse>, ValidationProblem, ProblemHttpResult>> RegisterAsync(
        RegisterRequest request, RegistrationService registrations, CancellationToken cancellationToken)
    {
        var registration = await registrations.RegisterAsync(request.Username, request.Email, request.Password, cancellationToken);
        return registration.Outcome switch
        {
            RegistrationOutcome.Registered => TypedResults.Created("/api/auth/me", Describe(registration.User!, [Roles.Member])),
            RegistrationOutcome.PasswordRefused => TypedResults.ValidationProblem(
                new Dictionary<string, string[]> { ["password"] = [registration.PasswordFault!] }),
            RegistrationOutcome.UserNameTaken => Taken("username", "The user name is taken."),
            RegistrationOutcome.EmailTaken => Taken("email", "There is an account with this e-mail address already."),
            _ => throw new InvalidOperationException($"Unknown outcome {registration.Outcome}."),
        };
    }

    private static async Task<Results<Ok<UserResponse>, ProblemHttpResult>> GetAsync(ClaimsPrincipal caller, UserManager<FleetUser> users) =>
        await users.FindByIdAsync(caller.UserId().ToString()) is { } user
            ? TypedResults.Ok(Describe(user, await users.GetRolesAsync(user)))
            : Problems.NotFound("account");

    private static async Task<Results<Ok<UserResponse>, ProblemHttpResult>> UpdateAsync(
        UpdateProfileRequest request, ClaimsPrincipal caller, AuthDbContext database, UserManager<FleetUser> users, CancellationToken cancellationToken)
    {
        var id = caller.UserId();
        if (request.DisplayName is not null)
        {
            var displayName = request.DisplayName.Trim() is { Length: > 0 } name ? name : null;
            await database.Users.Where(row => row.Id == id)
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.DisplayName, displayName), cancellationToken);
        }

        return await GetAsync(caller, users);
    }

    private static UserResponse Describe(FleetUser user, IEnumerable<string> roles) =>
        new(user.Id, user.UserName!, user.Email!, user.DisplayName ?? user.UserName!, [.. roles.Order(StringComparer.Ordinal)], user.Tenant, user.CreatedAt);

    private static ProblemHttpResult Taken(string field, string detail) => Problems.Create(
        StatusCodes.Status409Conflict, $"{field}-taken", "The account could not be created", detail,
        new Dictionary<string, object?> { ["errors"] = new Dictionary<string, string[]> { [field] = [detail] } });
}
