using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Chat.Clients;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Security;

namespace Fleet.Chat.OpenAi;

/// <summary><c>POST /v1/rerank</c> in the form Jina, Cohere and llama.cpp's server share; OpenAI itself has none.</summary>
internal static class RerankEndpoint
{
    private const int MostDocuments = 1000;

    public static async Task<IResult> HandleAsync(HttpContext http, InferenceClient inference, CancellationToken cancellationToken)
    {
        using var body = await OpenAiJson.ReadBodyAsync(http.Request, cancellationToken).ConfigureAwait(false);
        var json = new OpenAiJson(body.RootElement);
        var documents = ReadDocuments(json);
        var top = (int?)json.Integer("top_n", 1, MostDocuments) ?? documents.Count;
        var call = new RerankRequest
        {
            Model = json.String("model") ?? "",
            Query = json.String("query") is { Length: > 0 } query ? query : throw OpenAiException.Invalid("query", "'query' must be a string that is not empty."),
            Caller = new Caller { TenantId = http.User.TenantId(), UserId = http.User.UserId().ToString(), Lane = Lane.Interactive },
        };
        call.Documents.AddRange(documents);
        var withDocuments = json.Boolean("return_documents");

        var response = await inference.RerankAsync(call, cancellationToken).ConfigureAwait(false);
        var ranked = response.Scores.Select((score, index) => (score, index)).OrderByDescending(entry => entry.score).Take(top);
        var results = new JsonArray([.. ranked.Select(entry =>
        {
            var result = new JsonObject { ["index"] = entry.index, ["relevance_score"] = entry.score };
            if (withDocuments) result["document"] = new JsonObject { ["text"] = documents[entry.index] };
            return result;
        })]);
        var answer = new JsonObject
        {
            ["model"] = response.Model,
            ["object"] = "list",
            ["results"] = results,
            ["usage"] = new JsonObject { ["prompt_tokens"] = response.PromptTokens, ["total_tokens"] = response.PromptTokens },
        };
        return TypedResults.Text(answer.ToJsonString(OpenAiJson.Options), "application/json", Encoding.UTF8);
    }

    /// <summary>Strings, or objects with a text.</summary>
    private static List<string> ReadDocuments(OpenAiJson json)
    {
        if (!json.TryGet("documents", out var documents) || documents.ValueKind != JsonValueKind.Array || documents.GetArrayLength() is 0 or > MostDocuments)
            throw OpenAiException.Invalid("documents", $"'documents' must be an array of 1 to {MostDocuments}.");
        return [.. documents.EnumerateArray().Select((document, index) =>
        {
            var at = $"documents[{index}]";
            var text = document.ValueKind switch
            {
                JsonValueKind.String => OpenAiJson.Text(document, at),
                JsonValueKind.Object => new OpenAiJson(document).String("text"),
                _ => null,
            };
            return text is { Length: > 0 } ? text : throw OpenAiException.Invalid(at, $"'{at}' must be text that is not empty.");
        })];
    }
}
