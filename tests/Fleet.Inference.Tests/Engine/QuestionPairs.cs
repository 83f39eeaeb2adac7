namespace Fleet.Inference.Tests.Engine;

/// <summary>Questions with the sentence that answers each, as people ask and as handbooks write.</summary>
internal static class QuestionPairs
{
    public static readonly (string Question, string Sentence)[] English =
    [
        ("What is the refund period?", "Customers may ask for a refund within 30 days of purchase."),
        ("How large can an uploaded file be?", "The upload limit is 20 MB per file; larger files are rejected."),
        ("When does the warranty expire?", "The warranty covers defects for two years and then expires."),
        ("Who approves travel expenses?", "Travel expenses are approved by the head of the department."),
        ("How do I reset my password?", "To reset a password, open Settings and choose Security."),
        ("Which databases does the system support?", "The system stores its data in PostgreSQL, the only supported database."),
        ("How often are backups made?", "Backups are made every night at two o'clock."),
        ("Where is the main office?", "Our main office is in Busan, near the harbour."),
        ("How many vacation days do employees get?", "Every employee gets 25 vacation days a year."),
        ("What temperature should the server room have?", "The server room is kept at a temperature of 21 degrees."),
        ("Can I bring my dog to work?", "Dogs are welcome at work on Fridays if colleagues agree."),
        ("How do I connect to the VPN?", "Install the VPN client and connect with your company account."),
        ("What happens when a payment fails?", "A failed payment is tried again after three days."),
        ("Which languages does the assistant understand?", "The assistant understands Korean and English."),
        ("How long is the probation period?", "The probation period lasts six months for new staff."),
        ("Is there a discount for students?", "Students receive a discount of forty percent with a valid card."),
        ("How do I cancel my subscription?", "A subscription can be cancelled at any time from the billing page."),
        ("What is the maximum weight of a parcel?", "Parcels may weigh at most 31 kilograms."),
        ("How are documents split into chunks?", "Documents are split into chunks of about 400 tokens with an overlap."),
        ("Who do I call about a broken printer?", "Report a broken printer to the facilities desk on extension 112."),
    ];

    public static readonly (string Question, string Sentence)[] Korean =
    [
        ("환불 기간은 얼마나 되나요?", "구매 후 30일 이내에 환불을 신청할 수 있습니다."),
        ("업로드할 수 있는 파일 크기는 얼마인가요?", "업로드 파일의 최대 크기는 20MB입니다."),
        ("보증 기간은 언제 끝나나요?", "제품 보증은 2년 동안 적용되며 그 이후에는 끝납니다."),
        ("출장비는 누가 승인하나요?", "출장비는 부서장이 승인합니다."),
        ("비밀번호는 어떻게 재설정하나요?", "비밀번호를 재설정하려면 설정에서 보안을 선택하세요."),
        ("어떤 데이터베이스를 지원하나요?", "이 시스템은 데이터베이스로 PostgreSQL만 지원합니다."),
        ("백업은 얼마나 자주 하나요?", "백업은 매일 새벽 두 시에 자동으로 수행됩니다."),
        ("본사는 어디에 있나요?", "본사는 부산 항구 근처에 있습니다."),
        ("연차 휴가는 며칠인가요?", "모든 직원에게 연차 휴가 25일이 주어집니다."),
        ("서버실 온도는 몇 도로 유지해야 하나요?", "서버실의 온도는 21도로 유지합니다."),
        ("회사에 강아지를 데려와도 되나요?", "금요일에는 동료가 동의하면 강아지를 데려올 수 있습니다."),
        ("VPN에는 어떻게 연결하나요?", "VPN 클라이언트를 설치하고 회사 계정으로 연결하세요."),
        ("결제가 실패하면 어떻게 되나요?", "결제에 실패하면 사흘 뒤에 다시 시도합니다."),
        ("도우미는 어떤 언어를 이해하나요?", "도우미는 한국어와 영어를 이해합니다."),
        ("수습 기간은 얼마나 되나요?", "신입 직원의 수습은 6개월입니다."),
        ("학생 할인이 있나요?", "학생은 학생증을 제시하면 40퍼센트 할인을 받습니다."),
        ("구독을 해지하려면 어떻게 하나요?", "구독은 결제 페이지에서 언제든지 해지할 수 있습니다."),
        ("소포의 최대 무게는 얼마인가요?", "소포는 31킬로그램까지 보낼 수 있으며 무게를 초과하면 반송됩니다."),
        ("문서는 어떻게 조각으로 나뉘나요?", "문서는 400토큰 정도의 조각으로 나뉘어 저장됩니다."),
        ("프린터가 고장 나면 어디에 연락하나요?", "프린터 고장은 시설팀 내선 112번으로 알려 주세요."),
    ];
}
