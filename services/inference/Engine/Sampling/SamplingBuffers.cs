namespace Fleet.Inference.Engine.Sampling;

/// <summary>
/// Scratch memory for one draw, one per thread: a reply holds none of it between two tokens, so its size does not grow with the number of
/// replies. Contents mean nothing once the call that filled them has returned.
/// </summary>
internal sealed class SamplingBuffers
{
    [ThreadStatic]
    private static SamplingBuffers? _current;

    private ulong[] _candidates = new ulong[1024];
    private double[] _weights = new double[1024];
    private float[] _scores = [];
    private int[] _starts = new int[512];
    private float[] _maxima = new float[256];
    private float[] _selection = new float[256];

    public static SamplingBuffers Current => _current ??= new SamplingBuffers();

    public int CandidateCount { get; private set; }

    /// <summary>Candidates packed so that sorting the numbers puts the highest score first, and among equals the lowest token.</summary>
    public Span<ulong> Candidates => _candidates.AsSpan(0, CandidateCount);

    public void ClearCandidates() => CandidateCount = 0;

    public void Add(int token, float score)
    {
        if (CandidateCount == _candidates.Length)
            Array.Resize(ref _candidates, _candidates.Length * 2);
        _candidates[CandidateCount++] = Pack(token, score);
    }

    public Span<double> Weights(int count)
    {
        if (_weights.Length < count)
            _weights = new double[Math.Max(count, _weights.Length * 2)];
        return _weights.AsSpan(0, count);
    }

    /// <summary>Room for one score per token.</summary>
    public Span<float> Scores(int count)
    {
        if (_scores.Length < count)
            _scores = new float[count];
        return _scores.AsSpan(0, count);
    }

    /// <summary>Room for the blocks of a row: where each begins and how long it is, its highest score, and a copy to select from.</summary>
    public (int[] Starts, float[] Maxima, float[] Selection) Blocks(int count)
    {
        if (_maxima.Length < count)
            (_starts, _maxima, _selection) = (new int[count * 2], new float[count], new float[count]);
        return (_starts, _maxima, _selection);
    }

    public static int Token(ulong candidate) => (int)(uint)candidate;

    public static float Score(ulong candidate)
    {
        var ordered = ~(uint)(candidate >> 32);
        return BitConverter.UInt32BitsToSingle((ordered & 0x8000_0000) != 0 ? ordered & 0x7FFF_FFFF : ~ordered);
    }

    private static ulong Pack(int token, float score)
    {
        // Adding zero makes the two zeros one, so that they tie.
        var bits = BitConverter.SingleToUInt32Bits(score + 0f);
        var ordered = (bits & 0x8000_0000) != 0 ? ~bits : bits | 0x8000_0000;
        return ((ulong)~ordered << 32) | (uint)token;
    }
}
