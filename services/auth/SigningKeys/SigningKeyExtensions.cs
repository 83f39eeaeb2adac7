using Duende.IdentityServer.Stores;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace Fleet.Auth.SigningKeys;

internal static class SigningKeyExtensions
{
    public static WebApplicationBuilder AddSigningKeys(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<AuthOptions>().BindConfiguration(AuthOptions.SectionName).ValidateOnStart();
        services.AddSingleton<IValidateOptions<AuthOptions>, AuthOptionsValidator>();

        services.AddDataProtection().SetApplicationName("Fleet.Auth");
        services.AddSingleton<DataProtectionKeyStore>();
        services.AddOptions<KeyManagementOptions>().Configure<DataProtectionKeyStore, IOptions<AuthOptions>>((management, store, options) =>
        {
            management.XmlRepository = store;
            management.XmlEncryptor = MasterKeyEncryptor.ReadKey(options.Value) is { } key ? new MasterKeyEncryptor(key) : null;
        });

        services.AddSingleton<SigningKeyStore>();
        services.AddSingleton<SigningKeyRing>();
        services.AddSingleton<ISigningCredentialStore>(provider => provider.GetRequiredService<SigningKeyRing>());
        services.AddSingleton<IValidationKeysStore>(provider => provider.GetRequiredService<SigningKeyRing>());
        services.AddHostedService<SigningKeyLoader>();
        return builder;
    }

    /// <summary>This service need not ask itself over HTTP which keys are valid.</summary>
    public static WebApplicationBuilder AddOwnKeysToTokenValidation(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<SigningKeyRing>((jwt, ring) => jwt.ConfigurationManager = new OwnConfiguration(ring));
        return builder;
    }

    private sealed class OwnConfiguration(SigningKeyRing ring) : IConfigurationManager<OpenIdConnectConfiguration>
    {
        public Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel)
        {
            // The issuer is already named by the validation parameters.
            var configuration = new OpenIdConnectConfiguration();
            foreach (var key in ring.Keys)
                configuration.SigningKeys.Add(key);

            return Task.FromResult(configuration);
        }

        public void RequestRefresh()
        {
        }
    }
}
