using Spectre.Console;

namespace Fleet.Cli;

/// <summary>The few kinds of lines that the commands print. Every text is plain: nothing in it is read as markup.</summary>
internal static class ConsoleText
{
    private const int RedCode = 91;
    private const int GreenCode = 32;
    private const int GreyCode = 90;

    public static void WriteStep(this IAnsiConsole console, string text) => console.WriteColoured(GreyCode, $"• {text}");

    public static void WriteDone(this IAnsiConsole console, string text) => console.WriteColoured(GreenCode, $"✓ {text}");

    public static void WriteProblem(this IAnsiConsole console, string text) => console.WriteColoured(RedCode, $"✗ {text}");

    public static void WritePlain(this IAnsiConsole console, string text) => console.Profile.Out.Writer.WriteLine(text);

    /// <summary>Steps that report their progress print each line once, also where there is no terminal to redraw.</summary>
    public static IProgress<string> StepProgress(this IAnsiConsole console) => new Steps(console);

    // Not as a renderable: that would break lines at the terminal's width, and with them the commands in them.
    private static void WriteColoured(this IAnsiConsole console, int colour, string text) =>
        console.WritePlain(console.Profile.Capabilities.Ansi ? $"\e[{colour}m{text}\e[0m" : text);

    // Progress<T> posts to the thread pool, which lets lines overtake each other.
    private sealed class Steps(IAnsiConsole console) : IProgress<string>
    {
        public void Report(string value)
        {
            // A package per line says "it is alive" in a terminal only.
            if (value.StartsWith("Retrieving ", StringComparison.Ordinal) || value.StartsWith("Configuring ", StringComparison.Ordinal))
            {
                if (console.Profile.Out.IsTerminal)
                    console.Profile.Out.Writer.Write($"\r  {value,-60}\r");
                return;
            }

            console.WriteStep(value);
        }
    }
}
