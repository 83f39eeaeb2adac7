using System.Diagnostics;
using System.Reflection;
using YamlDotNet.RepresentationModel;

namespace Fleet.Kubernetes.Tests;

/// <summary>An overlay as kubectl renders it.</summary>
internal sealed class Manifests
{
    private readonly List<YamlMappingNode> _objects;

    private Manifests(List<YamlMappingNode> objects) => _objects = objects;

    public static async Task<Manifests> RenderAsync(string overlay)
    {
        var root = typeof(Manifests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "Manifests").Value!;
        var start = new ProcessStartInfo("kubectl") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("kustomize");
        start.ArgumentList.Add(Path.Combine(root, "overlays", overlay));
        using var kubectl = TryStart(start);
        Assert.SkipWhen(kubectl is null, "kubectl is not installed; it renders the manifests.");

        var output = kubectl.StandardOutput.ReadToEndAsync();
        var errors = kubectl.StandardError.ReadToEndAsync();
        await kubectl.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
        Assert.True(kubectl.ExitCode == 0, await errors);

        var stream = new YamlStream();
        stream.Load(new StringReader(await output));
        return new Manifests([.. stream.Documents.Select(document => (YamlMappingNode)document.RootNode)]);
    }

    public IEnumerable<YamlMappingNode> OfKind(params string[] kinds) => _objects.Where(item => kinds.Contains(item.Text("kind")));

    private static Process? TryStart(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}

internal static class YamlNodes
{
    public static string Name(this YamlMappingNode item) => item.Text("metadata/name")!;

    public static string? Text(this YamlNode node, string path) => (node.At(path) as YamlScalarNode)?.Value;

    public static IEnumerable<YamlNode> List(this YamlNode node, string path) => (node.At(path) as YamlSequenceNode)?.Children ?? [];

    public static YamlNode? At(this YamlNode node, string path)
    {
        YamlNode? current = node;
        foreach (var key in path.Split('/'))
            current = current is YamlMappingNode map && map.Children.TryGetValue(new YamlScalarNode(key), out var next) ? next : null;
        return current;
    }
}
