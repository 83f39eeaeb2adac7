using Fleet.Inference.Engine.Language;

namespace Fleet.Inference.Engine.Extractive;

/// <summary>What the extractive engine says in its own words, in the language of the person.</summary>
internal sealed record Phrases(string Introduction, string NotInDocuments, string NoDocuments)
{
    private static readonly Phrases English = new(
        Introduction: "No language model is installed, so these are quotations from the documents.",
        NotInDocuments: "The documents do not seem to hold an answer to this question. No language model is installed, so only sentences from the documents "
            + "can be quoted; to install one, run `./fleet models list` and `./fleet models pull <model>`.",
        NoDocuments: "No language model is installed and no documents were found for this question, so there is nothing to answer from. "
            + "Upload documents to get quotations, or install a model: `./fleet models list`, then `./fleet models pull <model>`.");

    private static readonly Phrases Korean = new(
        Introduction: "설치된 언어 모델이 없어 문서의 문장을 그대로 인용합니다.",
        NotInDocuments: "문서에서 이 질문의 답을 찾지 못했습니다. 설치된 언어 모델이 없어 문서의 문장만 인용할 수 있습니다. "
            + "모델을 설치하려면 `./fleet models list`와 `./fleet models pull <모델>`을 실행하세요.",
        NoDocuments: "설치된 언어 모델이 없고 이 질문에 쓸 문서도 찾지 못해 답할 수 없습니다. "
            + "문서를 올리면 문장을 인용해 드리고, 모델을 설치하려면 `./fleet models list`와 `./fleet models pull <모델>`을 실행하세요.");

    public static Phrases For(string language, string question)
    {
        // The question's own script wins: a Korean question from an English browser is answered in Korean.
        var share = Words.HangulShare(question);
        if (share > 0.2)
            return Korean;
        return share == 0 && !question.Any(char.IsLetter) && language.StartsWith("ko", StringComparison.OrdinalIgnoreCase) ? Korean : English;
    }
}
