using Duende.IdentityServer;
using Duende.IdentityServer.Configuration;
using Duende.IdentityServer.Endpoints;
using Duende.IdentityServer.Models;
using Duende.IdentityServer.Services;
using Duende.IdentityServer.Stores;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;

namespace Microsoft.Extensions.DependencyInjection;

public static class IdentityServerServiceCollectionExtensions
{
    public static IIdentityServerBuilder AddIdentityServer(this IServiceCollection services, Action<IdentityServerOptions> setupAction)
    {
        services.Configure(setupAction);
        return services.AddIdentityServer();
    }

    public static IIdentityServerBuilder AddIdentityServer(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(provider => provider.GetRequiredService<IOptions<IdentityServerOptions>>().Value);
        services.TryAddTransient<KeyMaterial>();
        services.TryAddTransient<ITokenCreationService, TokenCreationService>();
        services.TryAddTransient<IIdentityServerTools, IdentityServerTools>();
        services.TryAddTransient<ClientAuthentication>();
        services.TryAddTransient<ResourceCatalogue>();
        services.TryAddTransient<AccessTokenReader>();
        services.TryAddTransient<DiscoveryEndpoint>();
        services.TryAddTransient<TokenEndpoint>();
        services.TryAddTransient<RevocationEndpoint>();
        services.TryAddTransient<UserInfoEndpoint>();
        return new IdentityServerBuilder(services);
    }
}

public static class IdentityServerBuilderExtensionsInMemory
{
    public static IIdentityServerBuilder AddInMemoryClients(this IIdentityServerBuilder builder, IEnumerable<Client> clients)
    {
        Client[] all = [.. clients];
        foreach (var client in all)
            Unsupported.Check(client);

        builder.Services.AddSingleton<IClientStore>(new InMemoryClientStore(all));
        return builder;
    }

    public static IIdentityServerBuilder AddInMemoryApiScopes(this IIdentityServerBuilder builder, IEnumerable<ApiScope> apiScopes)
    {
        builder.Services.AddSingleton(apiScopes);
        return builder;
    }

    public static IIdentityServerBuilder AddInMemoryApiResources(this IIdentityServerBuilder builder, IEnumerable<ApiResource> apiResources)
    {
        builder.Services.AddSingleton(apiResources);
        return builder;
    }

    public static IIdentityServerBuilder AddInMemoryIdentityResources(
        this IIdentityServerBuilder builder, IEnumerable<IdentityResource> identityResources)
    {
        builder.Services.AddSingleton(identityResources);
        return builder;
    }
}

public static class IdentityServerBuilderExtensionsAdditional
{
    public static IIdentityServerBuilder AddProfileService<T>(this IIdentityServerBuilder builder)
        where T : class, IProfileService
    {
        builder.Services.AddTransient<IProfileService, T>();
        return builder;
    }

    public static IIdentityServerBuilder AddClientStore<T>(this IIdentityServerBuilder builder)
        where T : class, IClientStore
    {
        builder.Services.AddTransient<IClientStore, T>();
        return builder;
    }
}

public static class IdentityServerBuilderExtensionsCrypto
{
    public static IIdentityServerBuilder AddSigningCredential(this IIdentityServerBuilder builder, SigningCredentials credential)
    {
        ArgumentNullException.ThrowIfNull(credential);
        builder.Services.AddSingleton<ISigningCredentialStore>(new InMemorySigningCredentialStore(credential));
        return builder.AddValidationKey(new SecurityKeyInfo { Key = credential.Key, SigningAlgorithm = credential.Algorithm });
    }

    public static IIdentityServerBuilder AddSigningCredential(this IIdentityServerBuilder builder, SecurityKey key, string signingAlgorithm) =>
        builder.AddSigningCredential(new SigningCredentials(key, signingAlgorithm));

    public static IIdentityServerBuilder AddValidationKey(this IIdentityServerBuilder builder, params SecurityKeyInfo[] keys)
    {
        builder.Services.AddSingleton<IValidationKeysStore>(new InMemoryValidationKeysStore(keys));
        return builder;
    }
}
