using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Fleet.Chat.Clients;
using Fleet.Chat.Runs;
using Fleet.Chat.Sessions;
using Fleet.Contracts.Inference.V1;
using Fleet.ServiceDefaults.Http;
using Fleet.ServiceDefaults.Security;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace Fleet.Chat.Generation;

/// <summary>Plain generation without a conversation, and the models one may use.</summary>
internal static class LlmEndpoints
{
    public static void MapGeneration(this IEndpointRouteBuilder endpoints)
    {
        var llm = endpoints.MapGroup("/api/llm").WithTags("Generation").RequireAuthorization(FleetPolicies.User);
        llm.MapPost("generate", GenerateAsync).WithName("Generate").WithSummary("Generate text, as JSON or as a stream");
        llm.MapGet("models", ModelsAsync).WithName("ListChatModels").WithSummary("Models the caller may use");
    }

    private static async Task<IResult> GenerateAsync(GenerateTextRequest request, HttpContext http, GenerationService generation,
        IOptions<RunOptions> options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(request.Prompt) == (request.Messages is not { Count: > 0 }))
            return Problems.Create(StatusCodes.Status400BadRequest, "validation", "Nothing to answer", "Give either prompt or messages.");

        var call = CreateCall(request, http);
        try
        {
            if (request.Stream == true)
            {
                return await HeldStream.StartAsync(FramesAsync(call, generation, cancellationToken), options.Value.KeepAliveInterval, time,
                    failure => new StreamFrame(RunEvent.Error, JsonSerializer.Serialize(new { type = failure.Type, title = failure.Title }, JsonSerializerOptions.Web)),
                    cancellationToken).ConfigureAwait(false);
            }

            return TypedResults.Ok(await CollectAsync(call, generation, cancellationToken).ConfigureAwait(false));
        }
        catch (GenerationException exception)
        {
            return ProblemOf(exception, http.Response);
        }
    }

    private static async Task<IResult> ModelsAsync(ModelCatalogue models, HttpContext http, CancellationToken cancellationToken)
    {
        try
        {
            var list = await models.ListAsync(cancellationToken).ConfigureAwait(false);
            return TypedResults.Ok(new CursorPage<ModelResponse>([.. list.Where(model => model.Kind == ModelKind.Chat).Select(ModelResponse.Of)], null));
        }
        catch (GenerationException exception)
        {
            return ProblemOf(exception, http.Response);
        }
    }

    private static GenerateRequest CreateCall(GenerateTextRequest request, HttpContext http)
    {
        var sampling = new SamplingParameters();
        if (request.Temperature is { } temperature) sampling.Temperature = (float)temperature;
        if (request.TopP is { } topP) sampling.TopP = (float)topP;
        if (request.Seed is { } seed) sampling.Seed = seed;
        var call = new GenerateRequest
        {
            Model = request.Model ?? "",
            RequestId = Guid.CreateVersion7().ToString(),
            Caller = new Caller { TenantId = http.User.TenantId(), UserId = http.User.UserId().ToString(), Lane = Lane.Interactive },
            MaxTokens = request.MaxTokens ?? 0,
            Sampling = sampling,
        };
        if (request.Stop is { } stop) call.Stop.AddRange(stop);
        if (request.Messages is { Count: > 0 } messages)
        {
            call.Messages.AddRange(messages.Select(message => new ChatMessage
            {
                Role = message.Role switch { MessageRole.System => Role.System, MessageRole.Assistant => Role.Assistant, _ => Role.User },
                Content = message.Content,
            }));
        }
        else
        {
            // A question in the chat model's own template, which is what a person means by a prompt.
            call.Messages.Add(new ChatMessage { Role = Role.User, Content = request.Prompt });
        }

        return call;
    }

    private static async Task<GeneratedText> CollectAsync(GenerateRequest call, GenerationService generation, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var model = call.Model;
        GenerationUpdate.Finished? finished = null;
        await foreach (var update in generation.GenerateAsync(call, "generate", cancellationToken).ConfigureAwait(false))
        {
            switch (update)
            {
                case GenerationUpdate.Started started: model = started.Model; break;
                case GenerationUpdate.Delta delta: text.Append(delta.Text); break;
                case GenerationUpdate.Finished end: finished = end; break;
            }
        }

        return GeneratedText.Of(call, model, text.ToString(), finished!);
    }

    private static async IAsyncEnumerable<StreamFrame> FramesAsync(GenerateRequest call, GenerationService generation,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var model = call.Model;
        var seq = 0L;
        await foreach (var update in generation.GenerateAsync(call, "generate", cancellationToken).ConfigureAwait(false))
        {
            switch (update)
            {
                case GenerationUpdate.Started started:
                    model = started.Model;
                    yield return new StreamFrame("run", JsonSerializer.Serialize(new { seq = ++seq, runId = call.RequestId, model }, JsonSerializerOptions.Web));
                    break;
                case GenerationUpdate.Delta { Text.Length: > 0 } delta:
                    text.Append(delta.Text);
                    yield return new StreamFrame(RunEvent.Token, RunEvent.ForToken(++seq, delta.Text).Json);
                    break;
                case GenerationUpdate.Finished finished:
                    yield return new StreamFrame(RunEvent.Done, JsonSerializer.Serialize(
                        new { seq = ++seq, result = GeneratedText.Of(call, model, text.ToString(), finished) }, JsonSerializerOptions.Web));
                    break;
            }
        }
    }

    private static ProblemHttpResult ProblemOf(GenerationException exception, HttpResponse response)
    {
        if (exception.RetryAfter is { } retryAfter) response.Headers.RetryAfter = Math.Ceiling(retryAfter.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
        return Problems.Create(exception.Status, exception.Type, exception.Title);
    }
}

public sealed record GenerateTextRequest
{
    [StringLength(200, MinimumLength = 1)]
    public string? Model { get; init; }

    /// <summary>One question; or give <see cref="Messages"/>.</summary>
    [StringLength(400_000)]
    public string? Prompt { get; init; }

    [MaxLength(1000)]
    public IReadOnlyList<PlainMessage>? Messages { get; init; }

    [Range(0.0, 2.0)]
    public double? Temperature { get; init; }

    [Range(1, 131_072)]
    public int? MaxTokens { get; init; }

    [Range(0.0, 1.0)]
    public double? TopP { get; init; }

    [MaxLength(16)]
    public IReadOnlyList<string>? Stop { get; init; }

    public uint? Seed { get; init; }
    public bool? Stream { get; init; }
}

public sealed record PlainMessage
{
    [Required]
    public required MessageRole Role { get; init; }

    [Required(AllowEmptyStrings = true)]
    [StringLength(400_000)]
    public required string Content { get; init; }
}

internal sealed record GeneratedText(string Id, string Model, string Content, string FinishReason, TokenCounts TokenCounts)
{
    public static GeneratedText Of(GenerateRequest call, string model, string content, GenerationUpdate.Finished finished) => new(
        call.RequestId, model, content, finished.ReasonText,
        new TokenCounts(finished.PromptTokens, finished.CachedTokens, finished.CompletionTokens));
}

/// <param name="State">installed, loading, ready or failed.</param>
internal sealed record ModelResponse(string Id, string State, int ContextTokens, bool BuiltIn, bool IsDefault, string Architecture, long Parameters)
{
    public static ModelResponse Of(Model model) => new(model.Id, model.State switch
    {
        ModelState.Loading => "loading",
        ModelState.Ready => "ready",
        ModelState.Failed => "failed",
        _ => "installed",
    }, model.ContextTokens, model.BuiltIn, model.IsDefault, model.Architecture, model.Parameters);
}
