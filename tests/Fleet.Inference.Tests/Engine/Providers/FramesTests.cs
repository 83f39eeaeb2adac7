using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Providers;
using Fleet.Inference.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fleet.Inference.Tests.Engine.Providers;

public sealed class FramesTests
{
    private const int MaxBytes = 4096;

    [Theory]
    [InlineData("data: a\n\ndata: b\n\n", "a|b")]
    [InlineData("data: a\r\n\r\ndata: b\r\n\r\n", "a|b")]
    [InlineData("data: a\r\rdata: b\r\r", "a|b")]
    [InlineData("\uFEFFdata:a\n\n", "a")]
    [InlineData(": comment\nid: 7\nretry: 9\ndatax: no\n\ndata: a\n\n", "a")]
    [InlineData("event: x\ndata: a\ndata: b\n\nevent: lost\n\ndata\n\n", "x=a\nb|")]
    [InlineData("data: cut off", "cut off")]
    [InlineData("\n\n\n", null)]
    public async Task ServerSentEvents_AreReadWhateverTheCut(string text, string? expected)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        foreach (var stream in AllCuts(bytes))
        {
            var frames = new List<string>();
            await foreach (var frame in Frames.ServerSentEventsAsync(stream, MaxBytes, CancellationToken.None))
                frames.Add((frame.Event.Length > 0 ? frame.Event + "=" : "") + Encoding.UTF8.GetString(frame.Data.Span));
            Assert.Equal(expected, frames.Count == 0 ? null : string.Join('|', frames));
        }
    }

    [Fact]
    public async Task JsonLines_AreReadWhateverTheCut()
    {
        foreach (var stream in AllCuts("{\"a\":\"가\"}\r\n\n{\"b\":2}"u8.ToArray()))
        {
            var frames = new List<string>();
            await foreach (var frame in Frames.JsonLinesAsync(stream, MaxBytes, CancellationToken.None))
                frames.Add(Encoding.UTF8.GetString(frame.Data.Span));
            Assert.Equal(["{\"a\":\"가\"}", "{\"b\":2}"], frames);
        }
    }

    [Theory]
    [InlineData("data: ", "x", 5000)]
    [InlineData("", "data: xxxx\n", 2000)]
    [InlineData("", "x", 5000)]
    public async Task WhatIsTooLarge_IsGivenUp(string start, string repeated, int times)
    {
        var stream = new MemoryStream(Encoding.UTF8.GetBytes(start + string.Concat(Enumerable.Repeat(repeated, times))));

        await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            await foreach (var _ in Frames.ServerSentEventsAsync(stream, MaxBytes, CancellationToken.None))
            {
            }
        });
    }

    /// <summary>Every protocol's stream, cut after every byte: the same reply each time.</summary>
    [Theory]
    [MemberData(nameof(Streams))]
    public async Task Replies_AreTheSameWhateverTheCut(string type, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        string? whole = null;
        foreach (var stream in AllCuts(bytes))
        {
            var reply = await ReadAsync(Enum.Parse<ProviderType>(type), stream);
            whole ??= reply;
            Assert.Equal(whole, reply);
        }

        Assert.Equal("생각|안녕하세요 👋|f:{\"도시\":\"서울\"}|ToolCalls", whole);
    }

    public static TheoryData<string, string> Streams() => new()
    {
        {
            nameof(ProviderType.OpenAi), """
            data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}

            data: {"choices":[{"delta":{"reasoning":"생각"}}]}

            data: {"choices":[{"delta":{"content":"안녕하세요 👋"}}]}

            data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"도시\":"}}]}}]}

            data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"서울\"}"}}]}}]}

            data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}}

            data: [DONE]


            """
        },
        {
            nameof(ProviderType.Anthropic), """
            event: message_start
            data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"생각"}}

            event: ping
            data: {"type":"ping"}

            event: content_block_delta
            data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"안녕하세요 👋"}}

            event: content_block_start
            data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"도시\":\"서울\"}"}}

            event: message_delta
            data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}

            event: message_stop
            data: {"type":"message_stop"}


            """
        },
        {
            nameof(ProviderType.Gemini), """
            data: {"candidates":[{"content":{"role":"model","parts":[{"text":"생각","thought":true}]}}]}

            data: {"candidates":[{"content":{"parts":[{"text":"안녕하세요 👋"}]}}]}

            data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"도시":"서울"}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4}}


            """
        },
        {
            nameof(ProviderType.Ollama), """
            {"message":{"role":"assistant","content":"","thinking":"생각"},"done":false}
            {"message":{"role":"assistant","content":"안녕하세요 👋"},"done":false}
            {"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"도시":"서울"}}}]},"done":false}
            {"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":5}

            """
        },
    };

    private static async Task<string> ReadAsync(ProviderType type, Stream stream)
    {
        var model = new RemoteModelOptions { Id = "m", Kind = ModelKind.Chat };
        ChatProtocol protocol = type switch
        {
            ProviderType.Anthropic => new AnthropicProtocol(model),
            ProviderType.Gemini => new GeminiProtocol(model),
            ProviderType.Ollama => new OllamaProtocol(model),
            _ => new OpenAiProtocol(model, extended: false),
        };
        using var upstream = new UpstreamClient("up", new ProviderOptions { Type = type }, TimeProvider.System, NullLogger.Instance);
        var reader = protocol.CreateReader(new GenerationRequest { RequestId = "r" }, upstream);
        var deltas = new List<GenerationDelta>();
        var frames = protocol.Format == FrameFormat.JsonLines
            ? Frames.JsonLinesAsync(stream, MaxBytes, CancellationToken.None)
            : Frames.ServerSentEventsAsync(stream, MaxBytes, CancellationToken.None);
        await foreach (var frame in frames)
        {
            if (!reader.Ended && reader.Read(frame) is { } delta)
                deltas.Add(delta);
        }

        var calls = deltas.SelectMany(delta => delta.ToolCalls).ToList();
        return string.Join('|', string.Concat(deltas.Select(delta => delta.Reasoning)), string.Concat(deltas.Select(delta => delta.Text)),
            calls[0].Name + ":" + string.Concat(calls.Select(call => call.Arguments)), reader.Ending.Reason);
    }

    /// <summary>Whole, in two at every place, and byte by byte.</summary>
    private static IEnumerable<Stream> AllCuts(byte[] bytes)
    {
        yield return new PiecewiseStream(bytes, bytes.Length);
        for (var cut = 1; cut < bytes.Length; cut++)
            yield return new PiecewiseStream(bytes, cut);
        yield return new PiecewiseStream(bytes, 0);
    }

    /// <param name="first">Length of the first read; 0 = one byte each.</param>
    private sealed class PiecewiseStream(byte[] bytes, int first) : ReadOnlyStream(Null)
    {
        private int _at;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var wanted = first == 0 ? 1 : _at < first ? first - _at : bytes.Length - _at;
            var count = Math.Min(Math.Min(wanted, buffer.Length), bytes.Length - _at);
            bytes.AsMemory(_at, count).CopyTo(buffer);
            _at += count;
            return ValueTask.FromResult(count);
        }
    }
}
