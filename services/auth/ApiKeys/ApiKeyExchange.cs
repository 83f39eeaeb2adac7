using Fleet.Contracts.Auth.V1;
using Grpc.Core;

namespace Fleet.Auth.ApiKeys;

/// <summary>fleet.auth.v1.Auth, for the gateway.</summary>
internal sealed class ApiKeyExchange(ApiKeyService keys) : Contracts.Auth.V1.Auth.AuthBase
{
    private const int MaxKeyLength = 200;

    public override async Task<ExchangeApiKeyResponse> ExchangeApiKey(ExchangeApiKeyRequest request, ServerCallContext context)
    {
        if (request.ApiKey.Length is 0 or > MaxKeyLength)
            throw new RpcException(new Status(StatusCode.InvalidArgument, "api_key is empty or too long."));

        // Which of the three it is, only the owner may learn, by looking at the list of keys.
        var exchange = await keys.ExchangeAsync(request.ApiKey, context.CancellationToken)
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, "The API key is unknown, expired or revoked."));
        return new ExchangeApiKeyResponse
        {
            AccessToken = exchange.Token.Value,
            ExpiresIn = exchange.Token.ExpiresIn,
            KeyId = exchange.KeyId.ToString(),
            UserId = exchange.UserId.ToString(),
        };
    }
}
