using System.Text.RegularExpressions;
using Xunit;

namespace Fleet.EndToEnd.Tests;

public sealed partial class JourneyTests(BrowserFleet fleet) : BrowserTest(fleet)
{
    [Fact]
    public async Task A_person_registers_uploads_a_document_and_reads_a_cited_answer_in_Korean()
    {
        var page = await OpenAsync("ko-KR");
        var name = "minsu" + Guid.NewGuid().ToString("N")[..10];
        await page.Page.GetByText("계정이 없으신가요?").ClickAsync();
        await page.Page.GetByLabel("사용자 이름").FillAsync(name);
        await page.Page.GetByLabel("이메일").FillAsync(name + "@example.test");
        await page.Page.GetByLabel("비밀번호").FillAsync(FleetUser.Password);
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "계정 만들기", Exact = true }).ClickAsync();
        await Expect(page.Page.GetByText("무엇이 궁금하신가요?")).ToBeVisibleAsync();

        await page.UploadAsync("문서", "닫기", await DocumentAsync("사내-휴가-규정.md"));
        await page.Page.GetByRole(AriaRole.Switch, new() { Name = "내 문서 사용" }).CheckAsync();
        await page.ChooseModelAsync(FleetFixture.ExtractiveModel);
        var answer = await page.AskAsync("연차 휴가는 며칠인가요?");

        await Expect(page.Questions).ToHaveTextAsync("연차 휴가는 며칠인가요?");
        await Expect(answer).ToContainTextAsync("15일의 연차 휴가");
        await Expect(page.Page.GetByRole(AriaRole.Switch, new() { Name = "내 문서 사용" })).ToBeCheckedAsync();
        var chip = answer.GetByTestId("citation").First;
        await Expect(chip).ToContainTextAsync("휴가");
        await chip.ClickAsync();
        await Expect(page.Page.GetByTestId("passage")).ToContainTextAsync("매년 15일의 연차 휴가가 주어집니다");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "닫기" }).ClickAsync();

        await page.Page.ReloadAsync();
        await Expect(page.Answers).ToContainTextAsync("15일의 연차 휴가");
        await Expect(page.Answers.GetByTestId("citation").First).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Conversations_are_created_switched_renamed_and_deleted()
    {
        var (_, page) = await SignInAsync();
        await page.AskAsync("First question");
        await page.Page.GetByTestId("new-conversation").ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await page.AskAsync("Second question");
        await Expect(page.Sessions).ToHaveCountAsync(2);

        await page.Sessions.Filter(new() { HasText = "First question" }).GetByRole(AriaRole.Button).First.ClickAsync();
        await Expect(page.Questions).ToHaveTextAsync("First question");
        await Expect(page.Page.GetByTestId("conversation-title")).ToHaveTextAsync("First question");
        await Expect(page.Page).ToHaveURLAsync(SessionAddress());

        await ChooseAsync(page, "First question", "Rename");
        await page.Page.GetByLabel("Title").FillAsync("여행 계획");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Save" }).ClickAsync();
        await Expect(page.Page.GetByTestId("conversation-title")).ToHaveTextAsync("여행 계획");

        await ChooseAsync(page, "Second question", "Delete");
        await page.Page.GetByRole(AriaRole.Alertdialog).GetByRole(AriaRole.Button, new() { Name = "Delete" }).ClickAsync();
        await Expect(page.Sessions).ToHaveTextAsync(["여행 계획"]);
        await Expect(page.Questions).ToHaveTextAsync("First question");

        await page.Page.ReloadAsync();
        await Expect(page.Sessions).ToHaveTextAsync(["여행 계획"]);
        await ChooseAsync(page, "여행 계획", "Delete");
        await page.Page.GetByRole(AriaRole.Alertdialog).GetByRole(AriaRole.Button, new() { Name = "Delete" }).ClickAsync();
        await Expect(page.Sessions).ToHaveCountAsync(0);
        await Expect(page.Page.GetByText("What would you like to know?")).ToBeVisibleAsync();
    }

    internal static async Task<FilePayload> DocumentAsync(string name) => new()
    {
        Name = name,
        MimeType = "text/markdown",
        Buffer = await File.ReadAllBytesAsync(Path.Combine(AppContext.BaseDirectory, "Documents", name)),
    };

    private static async Task ChooseAsync(FleetPage page, string title, string action)
    {
        await page.Page.GetByRole(AriaRole.Button, new() { Name = $"Actions for {title}" }).ClickAsync();
        await page.Page.GetByRole(AriaRole.Menuitem, new() { Name = action }).ClickAsync();
    }

    [GeneratedRegex("/c/[0-9a-f-]{36}$")]
    private static partial Regex SessionAddress();
}
