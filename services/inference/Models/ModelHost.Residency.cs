using Fleet.Contracts.Events;
using Fleet.Inference.Engine;

namespace Fleet.Inference.Models;

// How a model comes into memory and leaves it: loading, making room for it, unloading what nobody uses.
internal sealed partial class ModelHost
{
    private Task StartLoading(HostedModel model)
    {
        if (model.State == ModelState.Loading)
            return model.Loading;

        model.State = ModelState.Loading;
        model.Error = "";
        model.Progress = 0;
        return model.Loading = Task.Run(() => LoadAsync(model), CancellationToken.None);
    }

    private async Task LoadAsync(HostedModel model)
    {
        var id = model.Description.Id;
        var started = _time.GetTimestamp();
        try
        {
            if (model.Description.Problem is { } problem)
                throw new GgufException(problem);
            if (_loader.Unavailable is { } unavailable)
                throw new EngineException(EngineError.Unavailable, unavailable);

            var plan = await MakeRoomAsync(model);
            var engine = _loader.Load(model.Description, plan, new LoadProgress(model), _stopping.Token);
            lock (_lock)
            {
                model.Engine = engine;
                model.State = ModelState.Ready;
                model.LastUsed = _time.GetTimestamp();
                model.Statistics.Loaded();

                // One that is unloaded at once stays for the request that asked for it.
                if (KeepAliveOf(model) > TimeSpan.Zero)
                    WaitForIdleness(model);
            }

            var duration = _time.GetElapsedTime(started);
            Log.Loaded(_logger, id, duration.TotalSeconds, plan.Memory.Total >> 20, plan.GpuLayers);
            _events.Publish(new ModelLoaded { Model = id, Duration = duration, MemoryBytes = plan.Memory.Total });
        }
        catch (Exception exception)
        {
            // Whatever it was, the service lives on and the reason is kept where people look for it.
            var reason = exception is EngineException or GgufException ? exception.Message : "The model could not be loaded; the log says more.";
            lock (_lock)
            {
                model.Plan = null;
                model.State = ModelState.Failed;
                model.Error = reason;
                model.FailedAt = _time.GetTimestamp();
                model.RetryAfter = (exception as EngineException)?.RetryAfter;
            }

            Log.Failed(_logger, exception, id);
            _events.Publish(new ModelFailed { Model = id, Reason = reason });
        }
    }

    /// <summary>Unloads idle models, the least recently used first, until the model fits; from then on its memory is taken in the books.</summary>
    private async Task<ModelPlan> MakeRoomAsync(HostedModel model)
    {
        while (true)
        {
            string victim;
            lock (_lock)
            {
                var uses = Uses();
                var plan = _memory.Plan(model.Description, uses);
                if (_memory.Shortage(plan, uses) is not { } shortage)
                    return model.Plan = plan;

                var idle = _models.Values.Where(IsEvictable).MinBy(other => other.LastUsed) ?? throw NoRoom(model, shortage);
                idle.Draining = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                idle.Draining.SetResult();
                victim = idle.Description.Id;
            }

            await FreeAsync(victim);
        }
    }

    private EngineException NoRoom(HostedModel model, string shortage)
    {
        var id = model.Description.Id;
        var busy = _models.Values.Any(other => other.Plan is not null);
        var advice = busy ? "The models in memory are busy: try again, unload one" : "Free memory";
        return new EngineException(EngineError.Unavailable,
            $"There is no room for {id}: {shortage}. {advice}, or give it less ({ModelsOptions.SectionName}:Models:{id}: ContextTokens, MaxSequences, KeyType).")
        {
            RetryAfter = busy ? BusyRetry : null,
        };
    }

    private async Task FreeAsync(string id)
    {
        IModelEngine? engine;
        HostedModel? model;
        lock (_lock)
        {
            if (!_models.TryGetValue(id, out model))
                return;
            engine = model.Engine;
            model.Engine = null;
        }

        if (engine is null)
            return;

        await engine.DisposeAsync();
        lock (_lock)
        {
            model.Plan = null;
            model.State = ModelState.Installed;
            model.Draining = null;
        }

        Log.Unloaded(_logger, id);
        _events.Publish(new ModelUnloaded { Model = id });
    }

    private void WaitForIdleness(HostedModel model)
    {
        var keepAlive = KeepAliveOf(model);
        if (keepAlive < TimeSpan.Zero || model is not { State: ModelState.Ready, Description.Path: not null })
            return;

        model.IdleTimer ??= _time.CreateTimer(_ => UnloadIdle(model), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        model.IdleTimer.Change(keepAlive, Timeout.InfiniteTimeSpan);
    }

    private void UnloadIdle(HostedModel model)
    {
        lock (_lock)
        {
            // A request may have come while the timer fired; its end starts the timer anew.
            if (_disposed || !IsEvictable(model) || _time.GetElapsedTime(model.LastUsed) < KeepAliveOf(model))
                return;

            model.Draining = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            model.Draining.SetResult();
            model.Unloading = FreeAsync(model.Description.Id);
        }
    }

    private TimeSpan KeepAliveOf(HostedModel model) => _options.Of(model.Description.Id).KeepAlive ?? _options.KeepAlive;

    private static bool IsEvictable(HostedModel model) => model is { Engine: not null, Leases: 0, Draining: null, Description.Path: not null };

    private List<MemoryUse> Uses() =>
        [.. _models.Values.Where(model => model.Plan is not null).Select(model => new MemoryUse(model.Plan!.Memory, model.Engine is not null, IsEvictable(model)))];

    private sealed class LoadProgress(HostedModel model) : IProgress<float>
    {
        // A torn read of a progress bar does no harm; a lock in a native callback might.
        public void Report(float value) => model.Progress = value;
    }
}
