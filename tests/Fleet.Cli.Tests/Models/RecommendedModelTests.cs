using Fleet.Cli.Models;
using Fleet.Provisioning;

namespace Fleet.Cli.Tests.Models;

public sealed class RecommendedModelTests
{
    [Fact]
    public void Read_OfThisClone_GivesNamesThatPullCanUse()
    {
        var models = RecommendedModel.Read(FleetPaths.Discover());

        Assert.NotEmpty(models);
        Assert.Equal(models.Count, models.Select(model => model.Id).Distinct().Count());
        Assert.All(models, model => Assert.Equal(model.File, ModelSource.Parse($"{model.Repository}/{model.File}", null).FileName));
    }

    [Fact]
    public void Read_WithoutTheInferenceService_IsEmpty()
    {
        using var folder = new TemporaryFolder();

        Assert.Empty(RecommendedModel.Read(new FleetPaths(folder.Path)));
    }
}
