using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Tests.Engine.Constraints;

public sealed class SchemaPatternTests
{
    [Theory]
    [InlineData("^$", new[] { "" }, new[] { "a" })]
    [InlineData("^[A-Z]{2}-\\d{3,}$", new[] { "AB-123", "AB-12345" }, new[] { "AB-12", "ab-123", "AB-123\n" })]
    [InlineData("^(yes|no)$", new[] { "yes", "no" }, new[] { "yesno", "", "maybe" })]
    [InlineData("^a\\.b*$", new[] { "a.", "a.bbb" }, new[] { "aXb", "a.b.b" })]
    [InlineData("^.{2}$", new[] { "ab", "🙂가" }, new[] { "a", "🙂🙂🙂", "a\n" })]
    [InlineData("^[^a-z]+?$", new[] { "123", "한글" }, new[] { "abc", "" })]
    [InlineData("^\\w+\\s\\S$", new[] { "a_1 x" }, new[] { "a_1x", "- x" })]
    [InlineData("^say \"\\\\\"$", new[] { "say \"\\\"" }, new[] { "say" })]
    [InlineData("^🙂?$", new[] { "🙂", "" }, new[] { "🙃" })]
    [InlineData("^(?:a(b|c){0,2})*$", new[] { "", "aab", "acbac" }, new[] { "b", "abbb" })]
    [InlineData("^\\u0041\\x42\\/\\-$", new[] { "AB/-" }, new[] { "A" })]
    public void Parse_MatchesWhatItSays(string pattern, string[] matching, string[] others)
    {
        var parsed = SchemaPattern.Parse(pattern);

        Assert.All(matching, text => Assert.Matches(parsed.Expression, text));
        Assert.All(others, text => Assert.DoesNotMatch(parsed.Expression, text));
        Assert.Equal(('^', '$'), (parsed.Grammar[0], parsed.Grammar[^1]));
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("^abc")]
    [InlineData("^")]
    [InlineData("^a\\$")]
    [InlineData("^a|b$")]
    [InlineData("^a\\b$")]
    [InlineData("^(a)\\1$")]
    [InlineData("^(?<name>a)$")]
    [InlineData("^(?!a)b$")]
    [InlineData("^a^b$")]
    [InlineData("^[z-a]$")]
    [InlineData("^[a$")]
    [InlineData("^a)$")]
    [InlineData("^*a$")]
    [InlineData("^a{3,2}$")]
    [InlineData("^a{,2}$")]
    [InlineData("^a{99999}$")]
    [InlineData("^a**$")]
    [InlineData("^a++$")]
    [InlineData("^\\p{L}$")]
    [InlineData("^\\xZ1$")]
    [InlineData("^[]$")]
    [InlineData("^\\u0001$")]
    [InlineData("^a]$")]
    [InlineData("^a}$")]
    public void Parse_WhatIsNoPatternOrNoGrammar_IsRefused(string pattern) => Assert.Throws<FormatException>(() => SchemaPattern.Parse(pattern));
}
