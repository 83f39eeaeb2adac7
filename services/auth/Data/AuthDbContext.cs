using Fleet.Auth.ApiKeys;
using Fleet.Auth.Tokens;
using Fleet.Auth.Users;
using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Identity.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore;

namespace Fleet.Auth.Data;

/// <summary>The tables of Data/Migrations as EF Core sees them. The SQL is the truth; a test compares the two.</summary>
public sealed class AuthDbContext(DbContextOptions<AuthDbContext> options) : IdentityDbContext<FleetUser, IdentityRole<Guid>, Guid>(options)
{
    internal DbSet<SignIn> SignIns => Set<SignIn>();

    internal DbSet<RefreshTokenRow> RefreshTokens => Set<RefreshTokenRow>();

    internal DbSet<ApiKey> ApiKeys => Set<ApiKey>();

    protected override void OnModelCreating(ModelBuilder builder)
    {
        base.OnModelCreating(builder);
        MapIdentity(builder);
        builder.Entity<SignIn>(signIn =>
        {
            signIn.ToTable("sign_ins");
            signIn.HasKey(row => row.Id);
            signIn.Property(row => row.ClientId).IsRequired();
            signIn.HasOne<FleetUser>().WithMany().HasForeignKey(row => row.UserId);
        });
        builder.Entity<RefreshTokenRow>(token =>
        {
            token.ToTable("refresh_tokens");
            token.HasKey(row => row.TokenHash);
            token.HasOne<SignIn>().WithMany().HasForeignKey(row => row.SignInId);
        });
        builder.Entity<ApiKey>(key =>
        {
            key.ToTable("api_keys");
            key.HasKey(row => row.Id);
            key.HasOne<FleetUser>().WithMany().HasForeignKey(row => row.UserId);
        });
        NameColumnsInSnakeCase(builder);
    }

    private static void MapIdentity(ModelBuilder builder)
    {
        builder.Entity<FleetUser>(user =>
        {
            user.ToTable("users");
            user.Ignore(row => row.PhoneNumber).Ignore(row => row.PhoneNumberConfirmed);
            user.Property(row => row.UserName).IsRequired();
            user.Property(row => row.NormalizedUserName).IsRequired();
            user.Property(row => row.Email).IsRequired();
            user.Property(row => row.NormalizedEmail).IsRequired();
            user.Property(row => row.SecurityStamp).IsRequired();
            user.Property(row => row.ConcurrencyStamp).IsRequired();
        });
        builder.Entity<IdentityRole<Guid>>(role =>
        {
            role.ToTable("roles");
            role.Property(row => row.Name).IsRequired();
            role.Property(row => row.NormalizedName).IsRequired();
        });
        builder.Entity<IdentityUserRole<Guid>>().ToTable("user_roles");
        builder.Entity<IdentityUserClaim<Guid>>().ToTable("user_claims");
        builder.Entity<IdentityRoleClaim<Guid>>().ToTable("role_claims");
        builder.Entity<IdentityUserLogin<Guid>>().ToTable("user_logins");
        builder.Entity<IdentityUserToken<Guid>>().ToTable("user_tokens");
    }

    private static void NameColumnsInSnakeCase(ModelBuilder builder)
    {
        foreach (var property in builder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
        {
            // Identity limits lengths for SQL Server's indexes; PostgreSQL needs no such limit.
            property.SetMaxLength(null);
            property.SetColumnName(SnakeCase(property.Name));
        }
    }

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((letter, i) => i > 0 && char.IsUpper(letter) ? $"_{char.ToLowerInvariant(letter)}" : $"{char.ToLowerInvariant(letter)}"));
}
