using Xunit;

namespace Fleet.IntegrationTests;

/// <summary>A person's first question over real documents, in both languages, on a machine without any language model.</summary>
public sealed class DocumentTests(FleetFixture fleet)
{
    [Theory]
    [InlineData("병가는 일 년에 며칠까지 쓸 수 있나요?", "병가는 1년에 최대 30일까지 사용할 수 있습니다.", "사내-휴가-규정.md")]
    [InlineData("배우자가 출산하면 휴가가 며칠인가요?", "배우자가 출산한 때에는 20일의 출산 휴가를 쓸 수 있습니다.", "사내-휴가-규정.md")]
    [InlineData("재택근무는 일주일에 며칠 할 수 있어?", "재택근무는 일주일에 이틀까지 할 수 있으며", "사내-휴가-규정.md")]
    [InlineData("Which port does the gateway listen on?", "The gateway listens on port 8080", "README.md")]
    [InlineData("Where is the administrator's password stored?", ".fleet/admin-password", "README.md")]
    public async Task The_right_sentence_is_quoted_and_cited(string question, string sentence, string document)
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var collection = (await user.PostAsync("/api/collections", new { name = "My documents" })).GetProperty("id").GetGuid();
        await user.IngestAsync(collection, Path.Combine(AppContext.BaseDirectory, "Documents", "README.md"));
        await user.IngestAsync(collection, Path.Combine(AppContext.BaseDirectory, "Documents", "사내-휴가-규정.md"));
        var session = await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel, useKnowledge = true });

        var reply = await user.AskAsync(session, question);

        Assert.Contains(sentence, reply.Text, StringComparison.Ordinal);
        var cited = (await user.MessagesAsync(session))[1].GetProperty("citations").EnumerateArray().Select(citation => citation.GetProperty("title").GetString()).ToList();
        Assert.Contains(document, cited);
        Assert.Equal(cited.Count, reply.Citations.Count);
    }

    [Fact]
    public async Task What_the_documents_do_not_hold_is_said_to_be_missing()
    {
        using var user = await FleetUser.RegisterAsync(fleet);
        var collection = (await user.PostAsync("/api/collections", new { name = "My documents" })).GetProperty("id").GetGuid();
        await user.IngestAsync(collection, Path.Combine(AppContext.BaseDirectory, "Documents", "사내-휴가-규정.md"));
        var session = await user.CreateSessionAsync(new { model = FleetFixture.ExtractiveModel, useKnowledge = true });

        var reply = await user.AskAsync(session, "What is the boiling point of tungsten?");

        Assert.Empty(reply.Citations);
        Assert.Null(reply.Error);
    }
}
