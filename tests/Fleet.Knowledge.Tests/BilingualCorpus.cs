namespace Fleet.Knowledge.Tests;

/// <summary>A small labelled set: short documents in two languages and questions with the passage that answers them.</summary>
internal static class BilingualCorpus
{
    public static readonly (string Name, string Text)[] Documents =
    [
        ("leave-policy.md", """
            # Leave policy

            ## Annual leave

            Every employee has 25 days of annual leave per calendar year. Unused days expire on 31 March of the following year.

            ## Sick leave

            Report illness to your manager before 9 a.m. From the third day on, a doctor's certificate is needed.

            ## Parental leave

            Parents may take up to 14 months of parental leave. The application must arrive eight weeks before it begins.

            ## Working from home

            Up to three days a week may be worked from home. Core hours are from ten to three o'clock.
            """),
        ("espresso-machine.md", """
            # Espresso machine manual

            ## Descaling

            Run the descaling programme every two months. Use citric acid, never vinegar, because vinegar damages the seals.

            ## Grinding

            A finer grind makes the coffee stronger and slows the flow. Change the grinder only while it is running.

            ## Error E04

            The water tank is empty or not seated properly. Refill it and push it in until it clicks.

            ## Milk foam

            Cold whole milk gives the best foam. Purge the steam wand before and after every use.
            """),
        ("deployment.md", """
            # Deployment runbook

            ## Rolling back

            Run `kubectl rollout undo deployment/api` to return to the previous revision. Announce it in the incident channel.

            ## Database migrations

            Migrations are forward only and run under an advisory lock. Expand first, contract in a later release.

            ## Certificates

            TLS certificates renew automatically 30 days before they expire. If renewal fails, check the DNS challenge.

            ## On-call

            The on-call engineer answers a page within fifteen minutes. Handover takes place on Monday at noon.
            """),
        ("환불-안내.md", """
            # 환불 안내

            ## 환불 기간

            상품을 받은 날부터 7일 안에 환불을 신청할 수 있습니다. 포장을 뜯은 식품은 환불되지 않습니다.

            ## 배송비

            단순 변심으로 반품할 때 왕복 배송비 6,000원은 고객이 부담합니다. 불량품은 판매자가 부담합니다.

            ## 환불 방법

            카드로 결제한 금액은 승인 취소로 3영업일 안에 돌려드립니다. 무통장 입금은 계좌로 송금합니다.

            ## 교환

            사이즈 교환은 한 번만 무료입니다. 재고가 없으면 자동으로 환불로 바뀝니다.
            """),
        ("사내-보안규정.md", """
            # 사내 보안 규정

            ## 비밀번호

            비밀번호는 열두 자 이상이어야 하며 90일마다 바꿀 필요는 없습니다. 다른 서비스와 같은 비밀번호를 쓰지 마세요.

            ## 출입증

            출입증을 잃어버리면 즉시 총무팀에 신고해야 합니다. 재발급 비용은 5천 원입니다.

            ## 외부 저장장치

            회사 컴퓨터에 개인 USB 메모리를 연결할 수 없습니다. 필요하면 보안팀의 승인을 받으세요.

            ## 방문객

            방문객은 로비에서 신분증을 맡기고 임시 출입증을 받습니다. 항상 담당 직원이 동행해야 합니다.
            """),
        ("제주-여행.txt", """
            제주도는 화산섬으로 한라산의 높이는 1,947미터입니다. 한라산 백록담에 오르려면 미리 탐방 예약을 해야 합니다.

            성산일출봉은 해돋이로 유명합니다. 정상까지는 걸어서 약 30분이 걸립니다.

            흑돼지구이와 고기국수는 제주를 대표하는 음식입니다. 갈치조림도 많은 사람이 찾습니다.

            공항에서 서귀포까지는 600번 버스를 타면 한 시간 반쯤 걸립니다. 렌터카는 성수기에 미리 예약하는 것이 좋습니다.
            """),
    ];

    /// <summary>Question, and words that only the answering passage holds.</summary>
    public static readonly (string Question, string Answer)[] English =
    [
        ("How many days of annual leave do I have?", "25 days of annual leave"),
        ("When do unused vacation days expire?", "expire on 31 March"),
        ("When do I need a doctor's certificate?", "doctor's certificate is needed"),
        ("How long can parents take parental leave?", "14 months"),
        ("How often may I work from home?", "three days a week"),
        ("What are the core hours?", "Core hours"),
        ("Can I use vinegar for descaling?", "citric acid"),
        ("How do I make the coffee stronger?", "finer grind"),
        ("What does error E04 mean?", "water tank is empty"),
        ("Which milk gives the best foam?", "whole milk"),
        ("When should the steam wand be purged?", "Purge the steam wand"),
        ("How do I roll back a deployment?", "kubectl rollout undo"),
        ("Are database migrations reversible?", "forward only"),
        ("When are TLS certificates renewed?", "30 days before they expire"),
        ("How fast must the on-call engineer answer a page?", "fifteen minutes"),
        ("When is the on-call handover?", "Monday at noon"),
    ];

    public static readonly (string Question, string Answer)[] Korean =
    [
        ("환불은 며칠 안에 신청해야 하나요?", "7일 안에 환불을 신청"),
        ("포장을 뜯은 식품도 환불되나요?", "포장을 뜯은 식품"),
        ("반품할 때 배송비는 누가 내나요?", "왕복 배송비"),
        ("카드 결제 금액은 언제 돌려받나요?", "3영업일"),
        ("사이즈를 교환하면 무료인가요?", "사이즈 교환은 한 번만"),
        ("비밀번호는 몇 자 이상이어야 하나요?", "열두 자 이상"),
        ("출입증을 분실하면 어디에 신고하나요?", "총무팀에 신고"),
        ("출입증 재발급 비용이 얼마예요?", "5천 원"),
        ("개인 USB를 회사 컴퓨터에 연결해도 되나요?", "USB 메모리"),
        ("방문객은 신분증을 어디에 맡기나요?", "로비에서 신분증"),
        ("한라산은 높이가 몇 미터인가요?", "1,947미터"),
        ("백록담에 오르려면 예약이 필요한가요?", "탐방 예약"),
        ("성산일출봉 정상까지 얼마나 걸려요?", "약 30분"),
        ("제주를 대표하는 음식은 무엇인가요?", "흑돼지구이"),
        ("공항에서 서귀포까지 가는 버스는?", "600번 버스"),
        ("렌터카는 언제 예약하는 게 좋나요?", "성수기"),
    ];
}
