using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Tests.Engine.Constraints;

public sealed class ReplyFormatCheckTests
{
    private const string Person = """
        {
          "type": "object",
          "properties": {
            "name": { "type": "string", "minLength": 2, "maxLength": 4 },
            "age": { "type": "integer", "minimum": 0, "exclusiveMaximum": 150 },
            "born": { "type": "string", "format": "date" },
            "code": { "type": "string", "pattern": "^[A-Z]{3}$" },
            "tags": { "type": "array", "items": { "enum": ["a", 1, null] }, "minItems": 1, "maxItems": 3 },
            "pair": { "type": "array", "prefixItems": [ { "type": "string" }, { "type": "boolean" } ] },
            "more": { "anyOf": [ { "$ref": "#/$defs/empty" }, { "type": "null" } ] },
            "fixed": { "const": { "a": [1, 2] } },
            "extra": { "type": "object", "additionalProperties": { "type": "number" } }
          },
          "required": ["name"],
          "additionalProperties": true,
          "$defs": { "empty": { "type": "object", "additionalProperties": false } }
        }
        """;

    [Theory]
    [InlineData("""{"name":"Ann"}""")]
    [InlineData("""{"name":"한글","age":0,"born":"2026-02-31","code":"ABC","tags":[1,null,"a"],"pair":["x",true],"more":{},"fixed":{"a":[1,2]},"extra":{"x":1.5},"other":{}}""")]
    [InlineData("""{"name":"🙂🙂","more":null,"age":149.0}""")]
    public void Validate_MatchingReply_IsNull(string reply) => Assert.Null(Check(reply));

    [Theory]
    [InlineData("""{}""", "lacks the property \"name\"")]
    [InlineData("""[]""", "$ is not of the type")]
    [InlineData("""{"name":"A"}""", "$.name has 1 characters")]
    [InlineData("""{"name":"ABCDE"}""", "$.name has 5 characters")]
    [InlineData("""{"name":7}""", "$.name is not of the type")]
    [InlineData("""{"name":"Ann","age":150}""", "$.age is out of bounds")]
    [InlineData("""{"name":"Ann","age":-1}""", "$.age is out of bounds")]
    [InlineData("""{"name":"Ann","age":1.5}""", "$.age is not of the type")]
    [InlineData("""{"name":"Ann","born":"2026-13-01"}""", "$.born is not of the format date")]
    [InlineData("""{"name":"Ann","code":"ABCD"}""", "$.code does not match")]
    [InlineData("""{"name":"Ann","tags":[]}""", "$.tags has 0 items")]
    [InlineData("""{"name":"Ann","tags":[2]}""", "$.tags[0] is none")]
    [InlineData("""{"name":"Ann","pair":["x",1]}""", "$.pair[1] is not")]
    [InlineData("""{"name":"Ann","more":{"x":1}}""", "$.more matches none")]
    [InlineData("""{"name":"Ann","fixed":{"a":[2,1]}}""", "$.fixed is not the constant")]
    [InlineData("""{"name":"Ann","extra":{"x":"text"}}""", "$.extra.* is not of the type")]
    [InlineData("""{"name":"Ann","name":"Bob"}""", "not JSON")]
    [InlineData("""{"name":"\ud800xx"}""", "half of a character")]
    [InlineData("""{"name":"Ann" """, "not JSON")]
    [InlineData("", "not JSON")]
    public void Validate_OtherReply_SaysWhereAndDoesNotQuote(string reply, string problem)
    {
        var found = Check(reply);

        Assert.Contains(problem, found);
        Assert.DoesNotContain("ABCDE", found);
    }

    [Fact]
    public void Validate_JsonMode_WantsAnObject()
    {
        var format = new ResponseFormat(ResponseFormatKind.JsonObject);

        Assert.Null(ReplyFormatCheck.Validate(format, " {\"a\": [1]} "));
        Assert.NotNull(ReplyFormatCheck.Validate(format, "[1]"));
        Assert.NotNull(ReplyFormatCheck.Validate(format, "text"));
    }

    [Fact]
    public void Validate_TextAndGrammar_AreTakenAsTheyAre()
    {
        Assert.Null(ReplyFormatCheck.Validate(ResponseFormat.Text, "anything"));
        Assert.Null(ReplyFormatCheck.Validate(new ResponseFormat(ResponseFormatKind.Grammar, "root ::= \"x\""), "x"));
    }

    private static string? Check(string reply) => ReplyFormatCheck.Validate(new ResponseFormat(ResponseFormatKind.JsonSchema, Person), reply);
}
