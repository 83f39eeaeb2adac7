using System.Collections.Frozen;

namespace Fleet.Inference.Engine.Language;

/// <summary>Words that carry grammar or politeness rather than a topic, in English and Korean. Matched before and after stemming.</summary>
internal static class FunctionWords
{
    private static readonly FrozenSet<string> All = Split("""
        a an the of to in on at by for with from as into onto about over under between during after before within without up down out off
        and or but nor so if then than else while because although though
        is are was were be been being am do does did done doing have has had having can could shall should will would may might must
        i you he she it we they me him her us them my your his its our their mine yours ours theirs myself yourself itself
        this that these those there here what which who whom whose when where why how
        not no yes any some all each every both either neither other another such same own only just also too very more most much many few less
        please tell show give explain say says said let know get got us ll ve re s t d m
        그리고 그러나 하지만 그런데 그래서 또는 또한 혹은 및 즉 이 그 저 것 수 등 및 더 잘 좀 꼭 다 모두 모든 각 때 중 안 못
        무엇 무엇이 무엇을 무엇인가요 무엇입니까 뭐 뭐가 뭐야 뭔가요 뭘 어떻게 어떤 어느 어디 어디서 어디에 어디에서 어디인가요 언제 언제인가요 누구 누가 누구인가요 왜
        얼마 얼마나 얼마인가요 몇 며칠 어때 어떠한
        있는 있나요 있습니까 있습니다 있다 있어 있어요 있고 있으며 있을 있지 없는 없나요 없습니다 없다 없어 없어요
        하는 하나요 합니까 합니다 한다 해 해요 하면 하고 하여 해야 할 하기 했나요 하려면 해서 한
        되는 되나요 됩니까 됩니다 된다 돼요 되나 되면 되어 될
        이다 입니다 인가요 인가 이에요 예요 입니까 아닌 아니다 아닙니다
        알려 알려줘 알려주세요 알려줄래 말해 말해줘 설명해 설명해줘 설명해주세요 주세요 줘 해줘 해주세요 싶어요 싶어 궁금해 궁금합니다
        대해 대해서 대한 관한 관해 위해 위한 위해서 통해 따라 따른 경우 우리 제 내 나는 저는 너 당신 이것 그것 저것 여기 거기 은 는 이 가 을 를 의 에 로 와 과 도 만
        """);

    // What asks for an overview instead of a fact.
    private static readonly FrozenSet<string> Overview = Split("""
        summary summaries summarise summarize summarised summarized overview brief briefly document documents file files text content contents main point points key
        요약 요약해 요약해줘 요약해주세요 요약해줄래 정리 정리해 정리해줘 정리해주세요 개요 문서 문서들 파일 자료 내용 핵심 주요 전체 간단히 간략히 첨부
        """);

    public static bool Contains(string word) => All.Contains(word);

    public static bool AsksForOverview(string word) => Overview.Contains(word);

    private static FrozenSet<string> Split(string words) =>
        words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.Ordinal);
}
