using System.Collections;
using System.Diagnostics.CodeAnalysis;
using Fleet.Inference.Engine;
using Fleet.Inference.Native;

namespace Fleet.Inference.Models;

/// <summary>
/// The LoRA adapters of one loaded model by id: each is read from its file when it is first asked for and lives as long as the model
/// (Hu et al., LoRA, 2021). Asking for one that cannot be read throws <see cref="EngineException"/>. Thread-safe; a model adds adapters
/// without touching what a running decode reads.
/// </summary>
internal sealed class LlamaAdapters(SafeLlamaModel model, string architecture, IReadOnlyList<AdapterDescription> known) : IReadOnlyDictionary<string, nint>
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, nint> _loaded = new(StringComparer.Ordinal);

    public int Count => known.Count;

    public IEnumerable<string> Keys => known.Select(adapter => adapter.Id);

    public IEnumerable<nint> Values => Keys.Select(id => this[id]);

    public nint this[string key] => TryGetValue(key, out var adapter) ? adapter : throw Unknown(key);

    /// <summary>Whether there is such an adapter; it is loaded by the question, so that a broken file is refused when a request comes in and not in the middle of a step.</summary>
    public bool ContainsKey(string key) => TryGetValue(key, out _);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out nint value)
    {
        value = 0;
        if (known.FirstOrDefault(adapter => adapter.Id == key) is not { } description)
            return false;

        lock (_lock)
        {
            if (!_loaded.TryGetValue(key, out value))
                _loaded.Add(key, value = Load(description));
        }

        return true;
    }

    public IEnumerator<KeyValuePair<string, nint>> GetEnumerator() => Keys.Select(id => KeyValuePair.Create(id, this[id])).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private nint Load(AdapterDescription description)
    {
        try
        {
            GgufValidator.ValidateAdapter(GgufReader.Read(description.Path), architecture);
            return model.LoadAdapter(description.Path);
        }
        catch (Exception exception) when (exception is GgufException or LlamaException)
        {
            throw new EngineException(EngineError.Unavailable, $"The adapter {description.Id} cannot be used: {exception.Message}", exception);
        }
    }

    private EngineException Unknown(string id) => new(EngineError.InvalidRequest, UnknownMessage(id, [.. Keys]));

    public static string UnknownMessage(string id, IReadOnlyList<string> known) =>
        known.Count == 0 ? $"There is no adapter {id}; this model has none." : $"There is no adapter {id}; this model has {string.Join(", ", known)}.";
}
