namespace Fleet.Knowledge.Retrieval;

/// <summary>
/// Reciprocal rank fusion: a passage gets 1 / (k + rank) from each retriever that found it. Ranks can be added up where scores of
/// different kinds cannot. k = 60 is the constant of the method's authors; it keeps one first place from outweighing two good ones.
/// </summary>
internal static class RankFusion
{
    private const int K = 60;

    public static List<Candidate> Fuse(int limit, params IEnumerable<IReadOnlyList<Candidate>> rankings)
    {
        var scores = new Dictionary<Guid, double>();
        foreach (var ranking in rankings)
        {
            for (var rank = 0; rank < ranking.Count; rank++)
                scores[ranking[rank].ChunkId] = scores.GetValueOrDefault(ranking[rank].ChunkId) + (1.0 / (K + rank + 1));
        }

        // The id decides between equals, so that the same question has the same answer.
        return [.. scores.Select(entry => new Candidate(entry.Key, entry.Value)).OrderByDescending(entry => entry.Score).ThenBy(entry => entry.ChunkId).Take(limit)];
    }
}
