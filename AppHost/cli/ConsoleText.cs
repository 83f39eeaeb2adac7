using Spectre.Console;

namespace Fleet.Cli;

/// <summary>The few kinds of lines that the commands print. Every text is plain: nothing in it is read as markup.</summary>
internal static class ConsoleText
{
    public static void WriteStep(this IAnsiConsole console, string text) =>
        console.Write(new Text($"• {text}\n", new Style(Color.Grey)));

    public static void WriteDone(this IAnsiConsole console, string text) =>
        console.Write(new Text($"✓ {text}\n", new Style(Color.Green)));

    public static void WriteProblem(this IAnsiConsole console, string text) =>
        console.Write(new Text($"✗ {text}\n", new Style(Color.Red)));

    public static void WritePlain(this IAnsiConsole console, string text) => console.Profile.Out.Writer.WriteLine(text);

    /// <summary>Steps that report their progress print each line once, also where there is no terminal to redraw.</summary>
    public static IProgress<string> StepProgress(this IAnsiConsole console) => new Steps(console);

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
