using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Tests.Engine;

public sealed class LayoutAdvisorTests
{
    private const int Cells = 20 * 256;

    [Fact]
    public void ManyPrivateSequences_AskForSeparateParts()
    {
        var advisor = After(requests: 40, prompt: 20, cached: 0, running: 20);

        advisor.Idle(unified: true, Cells, maxRunning: 20);

        Assert.False(advisor.Change);
    }

    [Theory]
    [InlineData(40, 100, 50, 20)]
    [InlineData(40, 100, 0, 8)]
    [InlineData(40, 250, 0, 20)]
    [InlineData(10, 20, 0, 20)]
    public void SharedPrefixes_FewAtOnce_LongPrompts_OrTooFewToKnow_KeepOneCache(int requests, int prompt, int cached, int running)
    {
        var advisor = After(requests, prompt, cached, running);

        advisor.Idle(unified: true, Cells, maxRunning: 20);

        Assert.Null(advisor.Change);
    }

    [Theory]
    [InlineData(60, 20)]
    [InlineData(0, 4)]
    public void SharedPrefixesAgain_OrFewAtOnce_MakeItOneCache(int cached, int running)
    {
        var advisor = After(requests: 40, prompt: 100, cached, running);

        advisor.Idle(unified: false, Cells, maxRunning: 20);

        Assert.True(advisor.Change);
    }

    [Fact]
    public void LongPrompt_MakesItOneCache_WhenItFitsThat()
    {
        var advisor = After(requests: 40, prompt: 20, cached: 0, running: 20);
        Assert.False(advisor.Wants(100, 256));

        advisor.Idle(unified: false, Cells, maxRunning: 20);

        Assert.False(advisor.Wants(300, 256));
        Assert.Null(advisor.Change);
        Assert.True(advisor.Wants(100, 256));
        Assert.True(advisor.Change);
    }

    [Fact]
    public void ConfiguredLayout_OrAModelThatCannotShare_NeverChanges()
    {
        foreach (var advisor in (LayoutAdvisor[])[new(KvLayout.Separate, canShare: true), new(null, canShare: false)])
        {
            for (var i = 0; i < 40; i++)
                advisor.Admitted(20, 0, 20);
            advisor.Idle(unified: true, Cells, 20);

            Assert.Null(advisor.Change);
        }
    }

    private static LayoutAdvisor After(int requests, int prompt, int cached, int running)
    {
        var advisor = new LayoutAdvisor(configured: null, canShare: true);
        for (var i = 0; i < requests; i++)
            advisor.Admitted(prompt, cached, running);
        return advisor;
    }
}
