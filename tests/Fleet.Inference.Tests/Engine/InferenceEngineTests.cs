using System.Text;
using Fleet.Inference.Engine;
using Fleet.Inference.Models;
using Fleet.Inference.Native;
using Fleet.Inference.Scheduling;
using Microsoft.Extensions.Logging.Abstractions;

namespace Fleet.Inference.Tests.Engine;

/// <summary>The engine on a runner that spells out a fixed text and fails when told to.</summary>
public sealed class InferenceEngineTests
{
    [Fact]
    public async Task Generate_DecodeFails_EndsTheReplyClearsItsSlotAndGoesOn()
    {
        var runner = new FakeModelRunner("안녕");
        await using var engine = Engine(runner);
        runner.Next = DecodeStatus.Failed;

        var exception = await Assert.ThrowsAsync<EngineException>(() => TextAsync(engine));

        Assert.Equal(EngineError.Internal, exception.Error);
        Assert.Equal("안녕", await TextAsync(engine));
        Assert.All(runner.Cells, cells => Assert.Equal(0, cells));
    }

    [Fact]
    public async Task Generate_RunnerThrows_EndsTheReplyAndGoesOn()
    {
        var runner = new FakeModelRunner("abc");
        await using var engine = Engine(runner);
        runner.Throw = new InvalidOperationException("bug");

        Assert.Equal(EngineError.Internal, (await Assert.ThrowsAsync<EngineException>(() => TextAsync(engine))).Error);
        Assert.Equal("abc", await TextAsync(engine));
    }

    [Fact]
    public async Task Generate_ManyAtOnceThroughFewSlots_AllFinishAndEverySlotIsClearedOnce()
    {
        var runner = new FakeModelRunner("가나다 abc");
        await using var engine = Engine(runner);

        var texts = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => TextAsync(engine)));

        Assert.All(texts, text => Assert.Equal("가나다 abc", text));
        Assert.Equal(40, runner.Clears);
        Assert.All(runner.Cells, cells => Assert.Equal(0, cells));
        Assert.Equal(0, engine.Activity.Running);
    }

    private static InferenceEngine Engine(FakeModelRunner runner) =>
        new("fake", runner, new EngineOptions(), TimeProvider.System, NullLogger<InferenceEngine>.Instance);

    private static async Task<string> TextAsync(InferenceEngine engine)
    {
        var request = new GenerationRequest { RequestId = "r", Prompt = "question", Sampling = new SamplingParameters { Temperature = 0 } };
        var events = await engine.GenerateAsync(request, TestContext.Current.CancellationToken).ToListAsync();
        Assert.IsType<GenerationFinished>(events[^1]);
        return string.Concat(events.OfType<GenerationDelta>().Select(delta => delta.Text));
    }

    /// <summary>Tokens are bytes; token 256 ends the reply. Checks positions as llama.cpp would.</summary>
    private sealed class FakeModelRunner(string reply) : IModelRunner, IVocabulary
    {
        private readonly byte[] _reply = Encoding.UTF8.GetBytes(reply);
        private readonly float[] _logits = new float[257];
        private BatchPlan? _plan;

        public DecodeStatus Next { get; set; } = DecodeStatus.Done;

        public Exception? Throw { get; set; }

        public int Clears { get; private set; }

        public int[] Cells { get; } = new int[3];

        public IVocabulary Vocabulary => this;

        public int Slots => 3;

        public int ContextTokens => 64;

        public int BatchTokens => 7;

        public int Size => 257;

        public DecodeStatus Decode(BatchPlan plan)
        {
            _plan = plan;
            if (Throw is { } exception)
            {
                Throw = null;
                throw exception;
            }

            var status = Next;
            Next = DecodeStatus.Done;
            if (status == DecodeStatus.Done)
            {
                foreach (var share in plan.Shares)
                {
                    Assert.Equal(Cells[share.Sequence.SequenceId], share.Sequence.ComputedTokens);
                    Cells[share.Sequence.SequenceId] += share.Count;
                }
            }

            return status;
        }

        public ReadOnlySpan<float> Logits(int batchIndex)
        {
            var sequence = _plan!.Shares.Single(share => share.OutputIndex == batchIndex).Sequence;
            Array.Clear(_logits);
            _logits[sequence.GeneratedTokens < _reply.Length ? _reply[sequence.GeneratedTokens] : 256] = 1;
            return _logits;
        }

        public void Clear(int slot)
        {
            Clears++;
            Cells[slot] = 0;
        }

        public int CachedTokens(int slot) => Cells[slot];

        public IReadOnlyList<int> TokenizePrompt(string text, string continueFrom) => [.. Encoding.UTF8.GetBytes(text + continueFrom)];

        public IReadOnlyList<int> TokenizeChat(IReadOnlyList<ChatMessage> messages, string continueFrom) => throw new NotSupportedException();

        public ReadOnlyMemory<byte> Bytes(int token) => new[] { (byte)token };

        public bool IsEndOfGeneration(int token) => token == 256;

        public void Dispose()
        {
        }
    }
}
