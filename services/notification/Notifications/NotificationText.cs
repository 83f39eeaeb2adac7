using System.Globalization;

namespace Fleet.Notification.Notifications;

/// <summary>Title and body of each kind in Korean and English.</summary>
internal static class NotificationText
{
    public const string Korean = "ko";
    public const string English = "en";

    private static readonly Dictionary<string, (string Title, string Body, string KoreanTitle, string KoreanBody)> Catalogue = new()
    {
        [NotificationKind.ReplyCompleted] = (
            "Reply finished", "{model} has finished its reply.",
            "답변 완료", "{model} 모델이 답변을 마쳤습니다."),
        [NotificationKind.ReplyFailed] = (
            "Reply failed", "The reply by {model} could not be finished ({errorType}). Your message is kept; you can try again.",
            "답변 실패", "{model} 모델이 답변을 마치지 못했습니다({errorType}). 메시지는 보관되어 있으니 다시 시도할 수 있습니다."),
        [NotificationKind.DocumentIndexed] = (
            "Document ready", "“{name}” can now be searched ({chunks} passages).",
            "문서 준비 완료", "‘{name}’ 문서를 이제 검색할 수 있습니다(구절 {chunks}개)."),
        [NotificationKind.DocumentFailed] = (
            "Document not indexed", "“{name}” could not be indexed: {reason}",
            "문서 색인 실패", "‘{name}’ 문서를 색인하지 못했습니다: {reason}"),
        [NotificationKind.Welcome] = (
            "Welcome to Fleet", "Hello {userName}. Start a chat, or upload a document to ask questions about it.",
            "Fleet에 오신 것을 환영합니다", "{userName} 님, 안녕하세요. 대화를 시작하거나 문서를 올려 질문해 보세요."),
        [NotificationKind.ModelFailed] = (
            "Model failed", "The model {model} is not available: {reason}",
            "모델 오류", "{model} 모델을 사용할 수 없습니다: {reason}"),
        [NotificationKind.Alert] = (
            "Alert: {rule}", "{summary}",
            "경보: {rule}", "{summary}"),
    };

    /// <summary>An unknown kind (written by a newer version during a roll-out) shows its name instead of failing the list.</summary>
    public static (string Title, string Body) Render(StoredNotification notification, string language)
    {
        if (!Catalogue.TryGetValue(notification.Kind, out var text))
            return (notification.Kind, "");

        var korean = language == Korean;
        return (Fill(korean ? text.KoreanTitle : text.Title, notification.Parameters),
            Fill(korean ? text.KoreanBody : text.Body, notification.Parameters));
    }

    /// <summary>The language with the higher quality in Accept-Language; English when neither is asked for.</summary>
    public static string LanguageOf(HttpRequest request)
    {
        var best = (Language: English, Quality: 0.0);
        foreach (var entry in request.GetTypedHeaders().AcceptLanguage)
        {
            var tag = entry.Value.AsSpan();
            var primary = tag.IndexOf('-') is var dash and >= 0 ? tag[..dash] : tag;
            var quality = entry.Quality ?? 1;
            if (quality <= best.Quality)
                continue;

            if (primary.Equals(Korean, StringComparison.OrdinalIgnoreCase))
                best = (Korean, quality);
            else if (primary.Equals(English, StringComparison.OrdinalIgnoreCase))
                best = (English, quality);
        }

        return best.Language;
    }

    /// <summary>One pass over the template: a value that looks like a placeholder is not filled again.</summary>
    private static string Fill(string template, IReadOnlyDictionary<string, string> parameters)
    {
        var text = new System.Text.StringBuilder(template.Length + 32);
        for (var at = 0; at < template.Length;)
        {
            var open = template.IndexOf('{', at);
            var close = open < 0 ? -1 : template.IndexOf('}', open);
            if (close < 0)
            {
                text.Append(template, at, template.Length - at);
                break;
            }

            text.Append(template, at, open - at);
            text.Append(CultureInfo.InvariantCulture, $"{parameters.GetValueOrDefault(template[(open + 1)..close], "?")}");
            at = close + 1;
        }

        return text.ToString();
    }
}
