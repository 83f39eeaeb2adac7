namespace Fleet.Cli;

/// <summary>The command cannot do what was asked; its message goes to the person as it is, without a stack trace.</summary>
public sealed class CommandException : Exception
{
    public CommandException()
    {
    }

    public CommandException(string message)
        : base(message)
    {
    }

    public CommandException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
