using Fleet.ServiceDefaults.Logging;
using Xunit;

namespace Fleet.ServiceDefaults.Tests.Logging;

public sealed class RedactorTests
{
    [Theory]
    [InlineData("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678")]
    [InlineData("token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl used", "eyJzdWIiOiIxIn0")]
    [InlineData("key fk_AbCdEf123456 refused", "AbCdEf123456")]
    [InlineData("Host=db;Username=fleet;Password=hunter2;Port=1", "hunter2")]
    [InlineData("amqp://fleet:s3cret@localhost:5672", "s3cret")]
    [InlineData("""{"refreshToken":"r-0123456789"}""", "r-0123456789")]
    [InlineData("mail to minsu.kim@example.co.kr failed", "minsu.kim")]
    public void Redact_ASecret_MasksIt(string text, string secret) => Assert.DoesNotContain(secret, Redactor.Redact(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("Migration 0001_effects applied")]
    [InlineData("모델을 불러왔습니다: qwen (3.2 s)")]
    [InlineData("Run 0199d1a2-7c1e-7b1a-9a53-0f6c2a1b4c5d completed with 12 tokens")]
    public void Redact_OrdinaryText_LeavesItAlone(string text) => Assert.Equal(text, Redactor.Redact(text));
}
