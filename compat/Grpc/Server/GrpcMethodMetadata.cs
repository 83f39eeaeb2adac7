using Grpc.Core;

namespace Grpc.AspNetCore.Server;

/// <summary>Endpoint metadata: which gRPC method an endpoint serves.</summary>
public sealed class GrpcMethodMetadata(Type serviceType, IMethod method)
{
    public Type ServiceType { get; } = serviceType ?? throw new ArgumentNullException(nameof(serviceType));

    public IMethod Method { get; } = method ?? throw new ArgumentNullException(nameof(method));
}

/// <summary>Finds the running call from its <c>HttpContext</c>.</summary>
public interface IServerCallContextFeature
{
    ServerCallContext ServerCallContext { get; }
}
