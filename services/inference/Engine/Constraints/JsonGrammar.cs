namespace Fleet.Inference.Engine.Constraints;

/// <summary>JSON (RFC 8259) in GBNF, for JSON mode.</summary>
internal static class JsonGrammar
{
    /// <summary>
    /// Any JSON object. White space and numbers are bounded, because small models otherwise fill their answer with them; escaped characters
    /// are whole ones, so that every string can be read.
    /// </summary>
    public const string AnyObject = """
        root    ::= object
        value   ::= object | array | string | number | "true" | "false" | "null"
        object  ::= "{" space ( member ( "," space member )* )? "}"
        member  ::= string space ":" space value space
        array   ::= "[" space ( value space ( "," space value space )* )? "]"
        string  ::= "\"" ( [^"\\\x00-\x1F\x7F] | "\\" escape )* "\""
        escape  ::= ["\\/bfnrt] | "u" ( [0-9abcefABCEF] hex{3} | [dD] [0-7] hex{2} | [dD] [89abAB] hex{2} "\\u" [dD] [c-fC-F] hex{2} )
        hex     ::= [0-9a-fA-F]
        number  ::= "-"? ( "0" | [1-9] [0-9]{0,15} ) ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )?
        space   ::= ( " " | "\n" [ \t]{0,16} )?
        """;
}
