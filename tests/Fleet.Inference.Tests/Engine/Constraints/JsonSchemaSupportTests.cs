using System.Text.Json;
using Fleet.Inference.Engine;
using Fleet.Inference.Engine.Constraints;

namespace Fleet.Inference.Tests.Engine.Constraints;

public sealed class JsonSchemaSupportTests
{
    [Theory]
    [InlineData("", "not JSON")]
    [InlineData("{", "not JSON")]
    [InlineData("null", "null")]
    [InlineData("true", "at #: a schema must be an object")]
    [InlineData("[]", "at #: a schema must be an object")]
    [InlineData("""{"type":"string","type":"number"}""", "not JSON")]
    [InlineData("""{"type":"text"}""", "#/type")]
    [InlineData("""{"type":[]}""", "#/type")]
    [InlineData("""{"type":7}""", "#/type")]
    [InlineData("""{"type":"array","items":{"type":"string"},"uniqueItems":true}""", "#/uniqueItems: the keyword \"uniqueItems\"")]
    [InlineData("""{"if":{},"then":{},"else":{}}""", "#/if")]
    [InlineData("""{"not":{"type":"string"}}""", "#/not")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer","multipleOf":2}}}""", "#/properties/a/multipleOf")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"array","contains":{}}}}""", "#/properties/a/contains")]
    [InlineData("""{"type":"object","patternProperties":{}}""", "#/patternProperties")]
    [InlineData("""{"type":"object","dependentRequired":{}}""", "#/dependentRequired")]
    [InlineData("""{"type":"object","propertyNames":{}}""", "#/propertyNames")]
    [InlineData("""{"type":"object","minProperties":1}""", "#/minProperties")]
    [InlineData("""{"type":"string","nullable":true}""", "#/nullable")]
    [InlineData("""{"type":"number","minimum":0}""", "#/minimum")]
    [InlineData("""{"type":["integer","number"],"maximum":5}""", "#/maximum")]
    [InlineData("""{"minimum":0}""", "#/minimum")]
    [InlineData("""{"required":["a"]}""", "#/required")]
    [InlineData("""{"type":"object","required":["a"]}""", "#/required")]
    [InlineData("""{"type":"object","properties":{"a":{}},"required":["a","a"]}""", "#/required")]
    [InlineData("""{"type":"object","properties":[]}""", "#/properties")]
    [InlineData("""{"type":"object","properties":{"a":true}}""", "#/properties/a")]
    [InlineData("""{"type":"object","properties":{"*":{}}}""", "#/properties")]
    [InlineData("""{"type":"object","additionalProperties":"yes"}""", "#/additionalProperties")]
    [InlineData("""{"type":"object","properties":{"a":{}},"additionalProperties":{"type":"string"}}""", "#/additionalProperties")]
    [InlineData("""{"$ref":"https://example.org/schema"}""", "#/$ref: only references into the same document")]
    [InlineData("""{"$ref":"#"}""", "#/$ref")]
    [InlineData("""{"$ref":"#/$defs/missing"}""", "leads nowhere")]
    [InlineData("""{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}""", "leads back to itself")]
    [InlineData("""{"$ref":"#/$defs/a","type":"object","$defs":{"a":{}}}""", "#/type")]
    [InlineData("""{"$ref":"#/$defs/a","$defs":{"a":{"type":"array","uniqueItems":true}}}""", "#/$defs/a/uniqueItems")]
    [InlineData("""{"$ref":7}""", "#/$ref")]
    [InlineData("""{"anyOf":[]}""", "#/anyOf")]
    [InlineData("""{"anyOf":[{"type":"string"}],"type":"string"}""", "#/type")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "#/oneOf")]
    [InlineData("""{"oneOf":[{"type":"object","properties":{"a":{}}},{"type":"object","properties":{"b":{}}}]}""", "use anyOf")]
    [InlineData("""{"allOf":[{"type":"string"},{"minLength":3}]}""", "#/allOf/0")]
    [InlineData("""{"allOf":[{"properties":{"a":{}}},{"properties":{"a":{}}}]}""", "two parts")]
    [InlineData("""{"type":"object","properties":{"a":{}},"allOf":[{"properties":{"b":{}}}]}""", "#/allOf")]
    [InlineData("""{"enum":[]}""", "#/enum")]
    [InlineData("""{"enum":["a"],"minLength":2}""", "#/minLength")]
    [InlineData("""{"type":"integer","enum":[1,"a"]}""", "#/enum")]
    [InlineData("""{"type":"array","minItems":3,"maxItems":2}""", "#/minItems")]
    [InlineData("""{"type":"array","minItems":-1}""", "#/minItems")]
    [InlineData("""{"type":"array","maxItems":1000000}""", "#/maxItems")]
    [InlineData("""{"type":"array","prefixItems":[{}],"minItems":2}""", "#/prefixItems")]
    [InlineData("""{"type":"array","items":false}""", "#/items")]
    [InlineData("""{"type":"string","minLength":2.5}""", "#/minLength")]
    [InlineData("""{"type":"string","format":"email"}""", "#/format: \"email\" cannot be enforced; supported are date")]
    [InlineData("""{"type":"string","format":"date","minLength":3}""", "#/minLength")]
    [InlineData("""{"type":"string","pattern":"abc"}""", "#/pattern: the expression must begin with ^")]
    [InlineData("""{"type":"string","pattern":"^a(?=b)b$"}""", "look-around")]
    [InlineData("""{"type":"string","pattern":"^(a$"}""", "#/pattern")]
    [InlineData("""{"type":"string","pattern":"^a$","maxLength":3}""", "#/maxLength")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""", "no integer")]
    [InlineData("""{"type":"integer","minimum":0.2,"maximum":0.8}""", "no integer")]
    [InlineData("""{"type":"integer","minimum":1e300}""", "#/minimum")]
    [InlineData("""{"type":"integer","minimum":"1"}""", "#/minimum")]
    [InlineData("""{"type":"integer","minimum":1,"exclusiveMinimum":1}""", "#/exclusiveMinimum")]
    [InlineData("""{"typ":"object"}""", "the keyword \"typ\" is not supported")]
    public void Check_WhatCouldNotBeEnforced_IsRefusedWithItsPlace(string schema, string problem)
    {
        var exception = Assert.Throws<EngineException>(() => JsonSchemaSupport.Check(schema));

        Assert.Equal(EngineError.InvalidRequest, exception.Error);
        Assert.Contains(problem, exception.Message);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","x-mine":1,"type":"object"}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"$ref":"#/$defs/b"}},"required":["a"],"additionalProperties":false,"$defs":{"b":{"type":"integer","minimum":-3}}}""")]
    [InlineData("""{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}}""", false)]
    [InlineData("""{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["next"]}}}""")]
    [InlineData("""{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"}},"required":["kind"]},{"type":"object","properties":{"kind":{"enum":["b","c"]}},"required":["kind"]},{"type":"null"}]}""")]
    [InlineData("""{"allOf":[{"$ref":"#/$defs/a"},{"type":"object","properties":{"y":{"type":"boolean"}},"required":["y"]}],"$defs":{"a":{"type":"object","properties":{"x":{"type":"number"}}}}}""")]
    [InlineData("""{"type":"array","items":{"type":"string","minLength":1,"maxLength":5000},"minItems":1,"maxItems":10}""")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}""")]
    [InlineData("""{"type":"string","const":"yes"}""")]
    [InlineData("""{"type":"string","format":"date-time"}""")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""")]
    [InlineData("""{"type":"integer","exclusiveMinimum":0,"maximum":100}""")]
    public void Check_WhatIsEnforced_IsAccepted(string schema, bool accepted = true)
    {
        if (accepted)
            JsonSchemaSupport.Check(schema);
        else
            Assert.Throws<EngineException>(() => JsonSchemaSupport.Check(schema));
    }

    [Fact]
    public void Check_HostileSchemas_EndWithAnAnswer()
    {
        string[] hostile =
        [
            string.Concat(Enumerable.Repeat("{\"items\":", 100)) + "{}" + new string('}', 100),
            string.Concat(Enumerable.Repeat("{\"items\":", 20_000)) + "{}" + new string('}', 20_000),
            "{\"type\":\"object\",\"properties\":{" + string.Join(',', Enumerable.Range(0, 5000).Select(i => $"\"p{i}\":{{}}")) + "}}",
            "{\"type\":\"object\",\"properties\":{\"" + new string('x', 10_000) + "\":{}}}",
            $$"""{"$ref":"#/{{new string('a', 100_000)}}"}""",
            $$"""{"type":"string","pattern":"^{{new string('(', 1500)}}$"}""",
            new string('[', 262_000),
            new string('x', 262_145),
            """{"type":"object","properties":{"a":null}}""",
            """{"enum":null}""",
            """{"required":null,"type":"object"}""",
            """{"oneOf":[{"type":"object","properties":{"a":{"$ref":"#/oneOf/0"}},"required":["a"]},{"type":"object","properties":{"a":{"$ref":"#/oneOf/1"}},"required":["a"]}]}""",
            """{"oneOf":[null,7]}""",
        ];
        foreach (var schema in hostile)
            Assert.True(Assert.Throws<EngineException>(() => JsonSchemaSupport.Check(schema)).Message.Length < 1000);
    }

    [Fact]
    public void ForConverter_OnlyChangesPatterns()
    {
        var converted = JsonSchemaSupport.ForConverter("""{"type":"object","properties":{"b":{"type":"string","pattern":"^\\d+$"},"a":{"const":"한글 <\"é\">"}}}""");

        Assert.True(JsonElement.DeepEquals(
            JsonDocument.Parse("""{"type":"object","properties":{"b":{"type":"string","pattern":"^([\\u0030-\\u0039])+$"},"a":{"const":"한글 <\"é\">"}}}""").RootElement,
            JsonDocument.Parse(converted).RootElement));
        Assert.True(converted.IndexOf("\"b\"", StringComparison.Ordinal) < converted.IndexOf("\"a\"", StringComparison.Ordinal));
    }
}
