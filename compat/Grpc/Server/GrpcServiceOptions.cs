using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>Options of every service, or of one where given through <c>AddServiceOptions</c>.</summary>
public class GrpcServiceOptions
{
    private int? _maxReceiveMessageSize;
    private bool _maxReceiveIsSet;

    /// <summary>In bytes; null, the default, is no limit.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>In bytes; 4 MB unless set, null is no limit.</summary>
    public int? MaxReceiveMessageSize
    {
        get => _maxReceiveMessageSize;
        set
        {
            _maxReceiveMessageSize = value;
            _maxReceiveIsSet = true;
        }
    }

    /// <summary>Whether the caller sees the type and text of an unhandled exception; off unless set.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary>"gzip" to compress responses for callers that accept it; null, the default, is not to.</summary>
    public string? ResponseCompressionAlgorithm { get; set; }

    public CompressionLevel? ResponseCompressionLevel { get; set; }

    /// <summary>Leave calls of unknown services and methods to other routes instead of answering UNIMPLEMENTED; off unless set.</summary>
    public bool? IgnoreUnknownServices { get; set; }

    /// <summary>Run in order, the first one outermost.</summary>
    public InterceptorCollection Interceptors { get; } = [];

    internal int? ReceiveLimit(int? fallback) => _maxReceiveIsSet ? _maxReceiveMessageSize : fallback;
}

/// <summary>Options of one service; they win over the global ones.</summary>
public class GrpcServiceOptions<TService> : GrpcServiceOptions
    where TService : class;

public class InterceptorCollection : Collection<InterceptorRegistration>
{
    public void Add<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TInterceptor>(params object[] args)
        where TInterceptor : Interceptor =>
        Add(typeof(TInterceptor), args);

    public void Add([DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] Type interceptorType, params object[] args)
    {
        ArgumentNullException.ThrowIfNull(interceptorType);
        if (!typeof(Interceptor).IsAssignableFrom(interceptorType))
            throw new ArgumentException($"{interceptorType} is not an interceptor.", nameof(interceptorType));
        Add(new InterceptorRegistration(interceptorType, args));
    }
}

/// <summary>An interceptor to be made for each call: from the container where it is registered, else by its constructor.</summary>
public class InterceptorRegistration
{
    private readonly object[] _arguments;

    internal InterceptorRegistration(
        [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] Type type, object[] arguments)
    {
        Type = type;
        _arguments = arguments;
    }

    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
    public Type Type { get; }

    public IReadOnlyList<object> Arguments => _arguments;

    internal Interceptor Activate(IServiceProvider services, out bool owned)
    {
        var registered = _arguments.Length == 0 ? services.GetService(Type) : null;
        owned = registered is null;
        return (Interceptor)(registered ?? ActivatorUtilities.CreateInstance(services, Type, _arguments));
    }
}
