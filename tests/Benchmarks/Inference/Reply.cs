using System.Diagnostics;

namespace Fleet.Benchmarks.Inference;

/// <summary>One request: always greedy, always to its full length.</summary>
internal sealed record Ask(IReadOnlyList<int> Prompt, int Tokens)
{
    public string Tenant { get; init; } = "bench";

    /// <summary>Nothing is taken from caches and nothing kept.</summary>
    public bool Bypass { get; init; }

    /// <summary>Every token's id is wanted, not when it came: llama-server's stream leaves out those whose text is held back.</summary>
    public bool AllIds { get; init; }

    /// <summary>Log-probabilities of this many alternatives per token; Fleet only.</summary>
    public int TopLogprobs { get; init; }
}

/// <summary>What came back and when (performance.md §2.1.2), in seconds.</summary>
internal sealed class Reply(Ask ask)
{
    private readonly long _submitted = Stopwatch.GetTimestamp();
    private readonly List<(long At, int Tokens)> _arrivals = [];
    private volatile int _tokens;

    public Ask Ask { get; } = ask;

    /// <summary>False: cut off by a time limit or refused.</summary>
    public bool Completed { get; set; }

    public int CachedTokens { get; set; }

    /// <summary>Tokens guessed and confirmed by speculative decoding.</summary>
    public int DraftedTokens { get; set; }

    public int AcceptedTokens { get; set; }

    public List<int> TokenIds { get; } = [];

    /// <summary>Of each token, and of the alternatives at its place.</summary>
    public List<TokenChances> Chances { get; } = [];

    /// <summary>So far; the only member to be read while the reply grows.</summary>
    public int Tokens => _tokens;

    public bool Started => _arrivals.Count > 0;

    public long Submitted => _submitted;

    public long FirstAt => _arrivals[0].At;

    public long LastAt => _arrivals[^1].At;

    /// <summary>Time to first token: queueing and transport included.</summary>
    public double FirstToken => Seconds(FirstAt - _submitted);

    /// <summary>Time per output token after the first.</summary>
    public double PerToken => Tokens > 1 ? Seconds(LastAt - FirstAt) / (Tokens - 1) : 0;

    public void Arrived(int tokens)
    {
        _arrivals.Add((Stopwatch.GetTimestamp(), tokens));
        _tokens += tokens;
    }

    /// <summary>Every pause between two arrivals that reaches into the time after <paramref name="from"/>.</summary>
    public IEnumerable<double> GapsAfter(long from) =>
        _arrivals.Zip(_arrivals.Skip(1)).Where(pair => pair.Second.At > from).Select(pair => Seconds(pair.Second.At - pair.First.At));

    public int TokensBetween(long from, long to) => _arrivals.Where(arrival => arrival.At > from && arrival.At <= to).Sum(arrival => arrival.Tokens);

    public static double Seconds(long ticks) => ticks / (double)Stopwatch.Frequency;
}

internal sealed record TokenChances(int Token, double Logprob, IReadOnlyDictionary<int, double> Top);
