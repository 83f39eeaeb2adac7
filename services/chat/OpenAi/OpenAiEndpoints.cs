using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fleet.Chat.Clients;
using Fleet.Chat.Generation;
using Fleet.Chat.Runs;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.OpenAi;

/// <summary>The routes that OpenAI-style clients call. What clients depend on is written in openai-wire.md.</summary>
internal static class OpenAiEndpoints
{
    private const int MostInputs = 2048;

    public static void MapOpenAi(this IEndpointRouteBuilder endpoints)
    {
        var v1 = endpoints.MapGroup("/v1").WithTags("OpenAI compatible").RequireAuthorization(FleetPolicies.User).AddEndpointFilter(TranslateErrorsAsync);
        v1.MapPost("chat/completions", ChatAsync).WithName("CreateChatCompletion").WithSummary("Chat completion");
        v1.MapPost("completions", TextAsync).WithName("CreateCompletion").WithSummary("Text completion");
        v1.MapPost("embeddings", EmbedAsync).WithName("CreateEmbedding").WithSummary("Embeddings");
        v1.MapPost("rerank", RerankEndpoint.HandleAsync).WithName("CreateRerank").WithSummary("Documents in the order of their relevance to a query");
        v1.MapGet("models", ModelsAsync).WithName("ListOpenAiModels").WithSummary("Models the caller may use");
        v1.MapGet("models/{**id}", ModelAsync).WithName("RetrieveOpenAiModel").WithSummary("One model; its id may contain slashes");
    }

    /// <summary>Every answer under <c>/v1</c> can be named to the operator, the failed ones too.</summary>
    public static void UseOpenAiRequestIds(this WebApplication app) => app.Use(async (http, next) =>
    {
        if (http.Request.Path.StartsWithSegments("/v1"))
            http.Response.Headers["x-request-id"] = "req_" + (System.Diagnostics.Activity.Current?.TraceId.ToString() ?? Guid.NewGuid().ToString("N"));
        await next(http).ConfigureAwait(false);
    });

    private static async ValueTask<object?> TranslateErrorsAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        try
        {
            return await next(context).ConfigureAwait(false);
        }
        catch (OpenAiException exception)
        {
            return new OpenAiErrorResult(exception);
        }
        catch (GenerationException exception)
        {
            return new OpenAiErrorResult(OpenAiException.From(exception));
        }
        catch (BadHttpRequestException exception)
        {
            return new OpenAiErrorResult(new OpenAiException(exception.StatusCode, "The request body could not be read: " + exception.Message));
        }
    }

    private static async Task<IResult> ChatAsync(HttpContext http, GenerationService generation, IOptions<RunOptions> options, TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var body = await OpenAiJson.ReadBodyAsync(http.Request, cancellationToken).ConfigureAwait(false);
        var request = CompletionRequest.Chat(new OpenAiJson(body.RootElement), http);
        return await CompleteAsync(request, isChat: true, generation, options.Value, time, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<IResult> TextAsync(HttpContext http, GenerationService generation, IOptions<RunOptions> options, TimeProvider time,
        CancellationToken cancellationToken)
    {
        using var body = await OpenAiJson.ReadBodyAsync(http.Request, cancellationToken).ConfigureAwait(false);
        var request = CompletionRequest.Text(new OpenAiJson(body.RootElement), http);
        return await CompleteAsync(request, isChat: false, generation, options.Value, time, cancellationToken).ConfigureAwait(false);
    }

    private static async Task<IResult> CompleteAsync(CompletionRequest request, bool isChat, GenerationService generation, RunOptions options,
        TimeProvider time, CancellationToken cancellationToken)
    {
        var id = (isChat ? "chatcmpl-" : "cmpl-") + request.Call.RequestId.Replace("-", "", StringComparison.Ordinal);
        var writer = new CompletionWriter(id, time.GetUtcNow().ToUnixTimeSeconds(), isChat, request.IncludeUsage) { Model = request.Call.Model };
        if (request.Stream)
        {
            return await HeldStream.StartAsync(FramesAsync(request, isChat, writer, generation, cancellationToken), options.KeepAliveInterval, time,
                failure => new StreamFrame(null, OpenAiException.From(failure).ToJson().ToJsonString(OpenAiJson.Options)), cancellationToken).ConfigureAwait(false);
        }

        return await CollectAsync(request, writer, generation, cancellationToken).ConfigureAwait(false);
    }

    private static async IAsyncEnumerable<StreamFrame> FramesAsync(CompletionRequest request, bool isChat, CompletionWriter writer,
        GenerationService generation, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ended = new List<GenerationUpdate.Finished>();
        await foreach (var update in generation.GenerateAsync(request.Call, "openai", cancellationToken).ConfigureAwait(false))
        {
            switch (update)
            {
                case GenerationUpdate.Started started:
                    writer.Model = started.Model;
                    for (var choice = 0; isChat && choice < request.Call.Choices; choice++) yield return writer.First(choice);
                    break;
                case GenerationUpdate.Delta delta:
                    yield return writer.Delta(delta);
                    break;
                case GenerationUpdate.Finished finished:
                    ended.Add(finished);
                    yield return writer.Last(finished);
                    break;
            }
        }

        if (request.IncludeUsage) yield return writer.Usage(ended);
        yield return CompletionWriter.DoneFrame;
    }

    private static async Task<IResult> CollectAsync(CompletionRequest request, CompletionWriter writer, GenerationService generation,
        CancellationToken cancellationToken)
    {
        var choices = Enumerable.Range(0, request.Call.Choices).Select(_ => new CompletionChoice()).ToList();
        await foreach (var update in generation.GenerateAsync(request.Call, "openai", cancellationToken).ConfigureAwait(false))
        {
            switch (update)
            {
                case GenerationUpdate.Started started:
                    writer.Model = started.Model;
                    break;
                case GenerationUpdate.Delta delta:
                    choices[delta.Choice].Add(delta);
                    break;
                case GenerationUpdate.Finished finished:
                    choices[finished.Choice].Finished = finished;
                    break;
            }
        }

        return Json(writer.Whole(choices, request.Logprobs));
    }

    private static async Task<IResult> EmbedAsync(HttpContext http, InferenceClient inference, CancellationToken cancellationToken)
    {
        using var body = await OpenAiJson.ReadBodyAsync(http.Request, cancellationToken).ConfigureAwait(false);
        var json = new OpenAiJson(body.RootElement);
        var encoding = json.String("encoding_format") ?? "float";
        if (encoding is not ("float" or "base64")) throw OpenAiException.Invalid("encoding_format", "'encoding_format' must be float or base64.");
        if (json.TryGet("input", out var input) && input.ValueKind == JsonValueKind.Array && input.EnumerateArray().Any(item => item.ValueKind is JsonValueKind.Number or JsonValueKind.Array))
            throw OpenAiException.Unsupported("input", "Token ids are not supported as input; send text.");
        var texts = json.Strings("input", MostInputs);
        if (texts.Count == 0 || texts.Any(string.IsNullOrEmpty)) throw OpenAiException.Invalid("input", "'input' must be a string or strings, none of them empty.");

        var call = new EmbedRequest
        {
            Model = json.String("model") ?? "",
            Caller = new Caller { TenantId = http.User.TenantId(), UserId = http.User.UserId().ToString(), Lane = Lane.Embeddings },
        };
        call.Texts.AddRange(texts);
        var response = await inference.EmbedAsync(call, cancellationToken).ConfigureAwait(false);
        if (json.Integer("dimensions", 1, 100_000) is { } dimensions && dimensions != response.Dimensions)
            throw OpenAiException.Unsupported("dimensions", $"This model's embeddings have {response.Dimensions} dimensions and cannot be shortened.");

        return Json(new JsonObject
        {
            ["object"] = "list",
            ["model"] = response.Model,
            ["data"] = new JsonArray([.. response.Embeddings.Select((embedding, index) => new JsonObject
            {
                ["object"] = "embedding",
                ["index"] = index,
                ["embedding"] = Encode([.. embedding.Values], encoding),
            })]),
            ["usage"] = new JsonObject { ["prompt_tokens"] = response.PromptTokens, ["total_tokens"] = response.PromptTokens },
        });
    }

    /// <summary>Little-endian float32 in base64, as the SDKs decode it.</summary>
    private static JsonNode Encode(float[] values, string encoding)
    {
        if (encoding == "float") return new JsonArray([.. values.Select(value => JsonValue.Create(value))]);
        if (!BitConverter.IsLittleEndian) values = [.. values.Select(value => BitConverter.Int32BitsToSingle(System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(BitConverter.SingleToInt32Bits(value))))];
        return JsonValue.Create(Convert.ToBase64String(MemoryMarshal.AsBytes<float>(values)));
    }

    private static async Task<IResult> ModelsAsync(ModelCatalogue models, CancellationToken cancellationToken)
    {
        var list = await models.ListAsync(cancellationToken).ConfigureAwait(false);
        return Json(new JsonObject { ["object"] = "list", ["data"] = new JsonArray([.. list.Select(Describe)]) });
    }

    private static async Task<IResult> ModelAsync(string id, ModelCatalogue models, CancellationToken cancellationToken)
    {
        var list = await models.ListAsync(cancellationToken).ConfigureAwait(false);
        // Kestrel leaves an escaped slash in a path as it is, and the SDKs escape it.
        id = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var model = list.FirstOrDefault(model => model.Id == id)
            ?? throw new OpenAiException(StatusCodes.Status404NotFound, $"There is no model '{id}'.", "model", "model_not_found");
        return Json(Describe(model));
    }

    private static JsonObject Describe(Model model) => new()
    {
        ["id"] = model.Id,
        ["object"] = "model",
        ["created"] = model.CreatedUnixSeconds,
        ["owned_by"] = "fleet",
        // Extra keys that clients otherwise guess.
        ["meta"] = new JsonObject
        {
            ["kind"] = model.Kind switch { ModelKind.Embedding => "embedding", ModelKind.Reranker => "reranker", _ => "chat" },
            ["context_tokens"] = model.ContextTokens,
            ["dimensions"] = model.Dimensions,
            ["parameters"] = model.Parameters,
        },
    };

    private static ContentHttpResult Json(JsonObject body) => TypedResults.Text(body.ToJsonString(OpenAiJson.Options), "application/json", Encoding.UTF8);
}
