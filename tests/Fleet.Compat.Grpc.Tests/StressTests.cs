using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace Fleet.Compat.Grpc.Tests;

public sealed class StressTests
{
    private const int Calls = 400;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = TestLimits.Milliseconds)]
    public async Task Calls_ended_at_random_moments_leave_nothing_behind()
    {
        var active = new ActiveCalls();
        await using var server = await EchoServer.StartAsync(
            options => options.Interceptors.Add<ActiveCalls>(), services => services.AddSingleton(active));
        var random = new Random(20261120);
        var plans = Enumerable.Range(0, Calls).Select(i => (Kind: i % 3, Cancel: random.Next(8), Deadline: random.Next(20))).ToList();

        var endings = await Task.WhenAll(plans.Select(plan => Task.Run(() => RunAsync(server.Client, plan.Kind, plan.Cancel, plan.Deadline), Token)));

        Assert.All(endings, ending => Assert.Contains(ending, new[] { StatusCode.OK, StatusCode.Cancelled, StatusCode.DeadlineExceeded }));
        await active.NoneAsync().WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal("alive", (await server.Client.SayAsync(new EchoRequest { Text = "alive" }, cancellationToken: Token)).Text);
    }

    private static async Task<StatusCode> RunAsync(Echo.EchoClient client, int kind, int cancelAfter, int deadlineAfter)
    {
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(cancelAfter));
        var options = new CallOptions(deadline: DateTime.UtcNow.AddMilliseconds(deadlineAfter), cancellationToken: cancel.Token);
        try
        {
            switch (kind)
            {
                case 0:
                    await client.SayAsync(new EchoRequest { Text = new string('x', 10_000) }, options);
                    break;
                case 1:
                    using (var stream = client.Repeat(new EchoRequest { Text = new string('x', 1000), Repeat = 200 }, options))
                    {
                        while (await stream.ResponseStream.MoveNext(Token))
                        {
                        }
                    }

                    break;
                default:
                    using (var chat = client.Chat(options))
                    {
                        for (var i = 0; i < 50; i++)
                        {
                            await chat.RequestStream.WriteAsync(new EchoRequest { Text = "x" }, Token);
                            if (!await chat.ResponseStream.MoveNext(Token))
                                throw new InvalidOperationException("The stream ended early.");
                        }
                    }

                    break;
            }

            return StatusCode.OK;
        }
        catch (RpcException exception)
        {
            return exception.StatusCode;
        }
    }

    private sealed class ActiveCalls : Interceptor
    {
        private readonly TaskCompletionSource _none = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _active = 1;

        /// <summary>The count starts at one, for the test itself: it reaches zero only once the test waits.</summary>
        public Task NoneAsync()
        {
            Leave();
            return _none.Task;
        }

        public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
            TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
            CountAsync(() => continuation(request, context));

        public override Task ServerStreamingServerHandler<TRequest, TResponse>(
            TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
            CountAsync(() => continuation(request, responseStream, context));

        public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
            IAsyncStreamReader<TRequest> requestStream,
            IServerStreamWriter<TResponse> responseStream,
            ServerCallContext context,
            DuplexStreamingServerMethod<TRequest, TResponse> continuation) =>
            CountAsync(() => continuation(requestStream, responseStream, context));

        private async Task<T> CountAsync<T>(Func<Task<T>> call)
        {
            Interlocked.Increment(ref _active);
            try
            {
                return await call();
            }
            finally
            {
                Leave();
            }
        }

        private Task<bool> CountAsync(Func<Task> call) => CountAsync(async () =>
        {
            await call();
            return true;
        });

        private void Leave()
        {
            if (Interlocked.Decrement(ref _active) == 0)
                _none.TrySetResult();
        }
    }
}
