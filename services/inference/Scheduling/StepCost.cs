namespace Fleet.Inference.Scheduling;

/// <summary>
/// Weighted least squares over (1, decode tokens, prompt tokens) -> milliseconds with exponential forgetting. Coefficients are never
/// negative; directions the recent steps say nothing about stay where they were.
/// </summary>
internal sealed class StepCost
{
    private const double Forget = 0.98;
    private const double Outlier = 4;

    // How firmly unmeasured directions stay at the last estimate; small against one step's own weight.
    private const double Ridge = 0.02;

    private readonly double[,] _a = new double[3, 3];
    private readonly double[] _b = new double[3];
    private double[] _theta = [0, 0, 0];
    private int _steps;

    public bool Known => _steps > 0;

    public double PerPrefill => _theta[2];

    public double Milliseconds(int decodeTokens, int prefillTokens) => _theta[0] + (_theta[1] * decodeTokens) + (_theta[2] * prefillTokens);

    public void Learn(int decodeTokens, int prefillTokens, double milliseconds)
    {
        double[] x = [1, decodeTokens, prefillTokens];
        if (_steps == 0)
            _theta = Prior(decodeTokens + prefillTokens, milliseconds);

        // A step that a page fault, a suspended machine or a busy neighbour stretched tells little about the next; if it was the start of a
        // slower time, the ones after it move the estimate four times as far each.
        var expected = Milliseconds(decodeTokens, prefillTokens);
        if (_steps >= 4 && expected > 0)
            milliseconds = Math.Min(milliseconds, Outlier * expected);

        // Large steps must not count for more than small ones by the square of their size.
        var weight = 1.0 / Math.Max(1, decodeTokens + prefillTokens);
        for (var row = 0; row < 3; row++)
        {
            for (var column = 0; column < 3; column++)
                _a[row, column] = (Forget * _a[row, column]) + (weight * x[row] * x[column]);
            _b[row] = (Forget * _b[row]) + (weight * x[row] * milliseconds);
        }

        _steps++;
        _theta = Solve();
    }

    // One measured step: all its tokens cost alike, and the base a tenth.
    private static double[] Prior(int tokens, double milliseconds)
    {
        var each = 0.9 * milliseconds / tokens;
        return [0.1 * milliseconds, each, each];
    }

    private double[] Solve()
    {
        Span<bool> zero = stackalloc bool[3];
        while (true)
        {
            var solution = SolveWithout(zero);
            var worst = -1;
            for (var i = 0; i < 3; i++)
            {
                if (solution[i] < 0 && (worst < 0 || solution[i] < solution[worst]))
                    worst = i;
            }

            if (worst < 0)
                return solution;
            zero[worst] = true;
        }
    }

    // Gaussian elimination; the ridge makes the matrix positive definite, so no pivoting is needed.
    private double[] SolveWithout(ReadOnlySpan<bool> zero)
    {
        var m = new double[3, 4];
        for (var row = 0; row < 3; row++)
        {
            if (zero[row])
            {
                (m[row, row], m[row, 3]) = (1, 0);
                continue;
            }

            for (var column = 0; column < 3; column++)
                m[row, column] = zero[column] ? 0 : _a[row, column];
            m[row, row] += Ridge;
            m[row, 3] = _b[row] + (Ridge * _theta[row]);
        }

        for (var pivot = 0; pivot < 3; pivot++)
        {
            for (var row = pivot + 1; row < 3; row++)
            {
                var factor = m[row, pivot] / m[pivot, pivot];
                for (var column = pivot; column < 4; column++)
                    m[row, column] -= factor * m[pivot, column];
            }
        }

        var solution = new double[3];
        for (var row = 2; row >= 0; row--)
        {
            var sum = m[row, 3];
            for (var column = row + 1; column < 3; column++)
                sum -= m[row, column] * solution[column];
            solution[row] = sum / m[row, row];
        }

        return solution;
    }
}
