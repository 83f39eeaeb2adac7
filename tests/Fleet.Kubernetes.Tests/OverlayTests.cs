using YamlDotNet.RepresentationModel;

namespace Fleet.Kubernetes.Tests;

public sealed class OverlayTests
{
    private static readonly string[] Services = ["analytics", "auth", "chat", "gateway", "inference", "knowledge", "notification", "web"];

    public static TheoryData<string> Overlays => ["local", "production", "gpu"];

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Every_service_is_deployed(string overlay)
    {
        var manifests = await Manifests.RenderAsync(overlay);

        Assert.Equal(Services, manifests.OfKind("Deployment").Select(item => item.Name()).Order(StringComparer.Ordinal));
        Assert.Empty(Services.Except(manifests.OfKind("Service").Select(item => item.Name())));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Every_service_is_probed_at_its_own_health_routes(string overlay)
    {
        foreach (var (name, container) in Containers(await Manifests.RenderAsync(overlay), "Deployment"))
        {
            Assert.True(container.Text("livenessProbe/httpGet/path") == "/health/live", name);
            Assert.True(container.Text("readinessProbe/httpGet/path") == "/health/ready", name);
            Assert.True(container.Text("startupProbe/httpGet/path") == "/health/live", name);
            Assert.Contains(container.List("ports"), port => port.Text("name") == container.Text("readinessProbe/httpGet/port"));
        }
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Every_container_says_what_it_needs_and_what_it_may_take(string overlay)
    {
        foreach (var (name, container) in Containers(await Manifests.RenderAsync(overlay), "Deployment", "StatefulSet"))
        {
            Assert.False(string.IsNullOrEmpty(container.Text("resources/requests/cpu")), name);
            Assert.False(string.IsNullOrEmpty(container.Text("resources/requests/memory")), name);
            Assert.False(string.IsNullOrEmpty(container.Text("resources/limits/memory")), name);
        }
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task No_pod_has_more_rights_than_it_needs(string overlay)
    {
        var manifests = await Manifests.RenderAsync(overlay);
        foreach (var workload in manifests.OfKind("Deployment", "StatefulSet"))
        {
            var pod = workload.At("spec/template/spec")!;
            Assert.True(pod.Text("securityContext/runAsNonRoot") == "true", workload.Name());
            Assert.True(pod.Text("securityContext/runAsUser") is not (null or "0"), workload.Name());
            Assert.True(pod.Text("securityContext/seccompProfile/type") == "RuntimeDefault", workload.Name());
            Assert.True(pod.Text("automountServiceAccountToken") == "false", workload.Name());
        }

        foreach (var (name, container) in Containers(manifests, "Deployment", "StatefulSet"))
        {
            Assert.True(container.Text("securityContext/readOnlyRootFilesystem") == "true", name);
            Assert.True(container.Text("securityContext/allowPrivilegeEscalation") == "false", name);
            Assert.Equal(["ALL"], container.List("securityContext/capabilities/drop").Select(capability => capability.ToString()));
            Assert.True(container.Text("securityContext/privileged") is null or "false", name);
        }

        foreach (var account in manifests.OfKind("ServiceAccount"))
            Assert.Equal("false", account.Text("automountServiceAccountToken"));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task Every_address_a_service_is_told_is_a_port_of_a_service(string overlay)
    {
        var manifests = await Manifests.RenderAsync(overlay);
        var ports = manifests.OfKind("Service")
            .SelectMany(service => service.List("spec/ports").Select(port => $"http://{service.Name()}:{port.Text("port")}"))
            .ToHashSet();
        var told = manifests.OfKind("ConfigMap").Where(map => map.At("data") is YamlMappingNode)
            .SelectMany(map => ((YamlMappingNode)map.At("data")!).Children)
            .Where(setting => setting.Key.ToString().StartsWith("services__", StringComparison.Ordinal))
            .Select(setting => setting.Value.ToString())
            .ToList();

        Assert.NotEmpty(told);
        Assert.Empty(told.Except(ports));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public async Task A_volume_that_is_mounted_exists(string overlay)
    {
        foreach (var workload in (await Manifests.RenderAsync(overlay)).OfKind("Deployment", "StatefulSet"))
        {
            var volumes = workload.List("spec/template/spec/volumes").Select(volume => volume.Text("name"))
                .Concat(workload.List("spec/volumeClaimTemplates").Select(claim => claim.Text("metadata/name")))
                .ToHashSet();
            foreach (var mount in workload.List("spec/template/spec/containers").SelectMany(container => container.List("volumeMounts")))
                Assert.Contains(mount.Text("name"), volumes);
        }
    }

    [Fact]
    public async Task Production_holds_no_secret_and_local_says_its_own_are_throwaway()
    {
        var production = await Manifests.RenderAsync("production");
        var local = await Manifests.RenderAsync("local");

        Assert.Empty(production.OfKind("Secret"));
        Assert.NotEmpty(local.OfKind("Secret"));
        Assert.Contains(local.OfKind("Secret"), secret => secret.Text("data/client-secret") is { } value
            && System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(value)).StartsWith("local-only", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Only_the_gpu_overlay_asks_for_a_gpu()
    {
        Assert.Equal("1", GpusOf(await Manifests.RenderAsync("gpu")));
        Assert.Null(GpusOf(await Manifests.RenderAsync("production")));

        static string? GpusOf(Manifests manifests) =>
            Containers(manifests, "Deployment").Single(item => item.Name == "inference").Container
                .At("resources/limits") is YamlMappingNode limits
            && limits.Children.TryGetValue(new YamlScalarNode("nvidia.com/gpu"), out var count) ? count.ToString() : null;
    }

    private static IEnumerable<(string Name, YamlNode Container)> Containers(Manifests manifests, params string[] kinds) =>
        manifests.OfKind(kinds).SelectMany(workload =>
            workload.List("spec/template/spec/containers").Select(container => (workload.Name(), container)));
}
