namespace Fleet.Inference.Engine.Chat;

/// <summary>Any JSON object, as RFC 8259 has it, with bounded white space so that a model cannot write spaces for ever.</summary>
internal static class JsonObjectGrammar
{
    public const string Gbnf = """
        root ::= object
        object ::= "{" space ( member ( "," space member )* )? "}" space
        member ::= string ":" space value
        array ::= "[" space ( value ( "," space value )* )? "]" space
        value ::= object | array | string | number | ( "true" | "false" | "null" ) space
        string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} ) )* "\"" space
        number ::= "-"? ( "0" | [1-9] [0-9]* ) ( "." [0-9]+ )? ( [eE] [-+]? [0-9]+ )? space
        space ::= | " " | "\n"{1,2} [ \t]{0,20}
        """;
}
