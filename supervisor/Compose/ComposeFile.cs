using System.Security.Cryptography;
using System.Text;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>Reads a compose file (compose-spec, today's form) into a release. Pure: text and a function for files in, release or remarks out.</summary>
/// <remarks>
/// Done: all service keys balena takes and more, networks, volumes, configs, secrets, interpolation, anchors and merges, extends, include,
/// profiles, the part of deploy that means something on one device. Everything else is refused by name and line, all mistakes in one go.
/// </remarks>
internal static class ComposeFile
{
    /// <param name="text">The compose file.</param>
    /// <param name="environment">The text of <c>.env</c>, or null.</param>
    /// <param name="read">The bytes of a file beside it, or null.</param>
    /// <param name="file">Its name, for remarks.</param>
    /// <param name="hostDirectory">Where relative bind sources lie on the device.</param>
    /// <param name="built">The image that was built for a service with <c>build:</c>, or null; without it nothing can be built.</param>
    public static ComposeResult Read(string text, string? environment = null, Func<string, byte[]?>? read = null, string file = "compose.yaml", string hostDirectory = "/data/apps", Func<string, string?>? built = null)
    {
        var diagnostics = new Diagnostics();
        var variables = environment is null ? new() : DotEnv.Read(".env", environment, diagnostics);
        var sources = new ComposeSources(variables, read ?? (_ => null), hostDirectory) { Built = built };
        var composition = new Composition(sources, diagnostics);
        if (composition.Load(file, text) is not { } root) return new(null, diagnostics.All);
        var reading = new Reading(root, sources, diagnostics);
        var release = reading.Run();
        return new(diagnostics.HasErrors ? null : release, diagnostics.All) { Builds = reading.Builds };
    }

    /// <summary>One reading of a whole tree.</summary>
    private sealed class Reading(MapNode root, ComposeSources sources, Diagnostics diagnostics)
    {
        private readonly Values values = new(diagnostics);

        public List<BuildSpec> Builds { get; } = [];

        public Release Run()
        {
            foreach (var (key, node) in root.Entries)
                if (key is not ("name" or "version" or "services" or "networks" or "volumes" or "configs" or "secrets" or "include") && !key.StartsWith("x-", StringComparison.Ordinal))
                    diagnostics.Error(node, key == "models" ? "is not supported" : "is not a part of a compose file");
            var name = ProjectName();
            foreach (var kind in (string[])["configs", "secrets"]) DefineFiles(kind);
            var services = ReadServices();
            var resources = new ResourceReader(diagnostics, values);
            var networks = resources.Networks(root["networks"] as MapNode);
            var volumes = resources.Volumes(root["volumes"] as MapNode);
            var release = new Release { App = name, Services = new(services.ToDictionary(s => s.Name), StringComparer.Ordinal), Networks = networks, Volumes = volumes };
            release = CrossCheck.Apply(release, root, diagnostics);
            foreach (var content in sources.Contents) release.Files[Convert.ToHexStringLower(SHA256.HashData(content))] = content;
            return release;
        }

        private string ProjectName()
        {
            var name = values.Text(root["name"]) ?? sources.Variables.GetValueOrDefault("COMPOSE_PROJECT_NAME") ?? "app";
            if (name.Length is > 0 and < 64 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_')) return name;
            diagnostics.Error(root["name"] ?? root, $"'{name}' is not a project name; use lower-case letters, digits, '-' and '_'");
            return "app";
        }

        private List<Service> ReadServices()
        {
            var list = new List<Service>();
            if (root["services"] is not { } node)
            {
                diagnostics.Error(root, "the file has no services");
                return list;
            }

            if (node is not MapNode map)
            {
                if (!node.IsNull) diagnostics.Error(node, $"must be a map, but is {node.Kind}");
                return list;
            }

            var active = (sources.Variables.GetValueOrDefault("COMPOSE_PROFILES") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            var reader = new ServiceReader(diagnostics, sources);
            foreach (var (name, value) in map.Entries)
            {
                if (name.Length == 0 || name.Length > 63 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')) diagnostics.Error(value, $"'{name}' is not a service name; use letters, digits, '.', '_' and '-'");
                else if (value is not MapNode service) diagnostics.Error(value, $"must be a map, but is {value.Kind}");
                else if (values.List(service["profiles"]) is { Count: > 0 } profiles && !active.Contains("*") && !profiles.Intersect(active).Any()) continue;
                else if (reader.Read(service with { Path = "services." + name }) is { } read) list.Add(Built(service, read with { Name = name }));
            }

            return list;
        }

        /// <summary>What was built for the service is its image, whatever the file calls it; it is nowhere else to be had.</summary>
        private Service Built(MapNode map, Service service)
        {
            if (sources.Built is not { } built || map["build"] is not { IsNull: false } build) return service;
            if (new BuildReader(diagnostics, values).Read(service.Name, build) is { } spec) Builds.Add(spec);
            if (built(service.Name) is { } image) return service with { Image = image, Pull = PullPolicy.Never };
            diagnostics.Error(build, "was not built; run 'supervisor push' again");
            return service;
        }

        private void DefineFiles(string kind)
        {
            if (root[kind] is not MapNode map) return;
            foreach (var (name, node) in map.Entries)
            {
                if (node is not MapNode entry)
                {
                    diagnostics.Error(node, "needs file, content or environment");
                    continue;
                }

                foreach (var (key, value) in entry.Entries)
                    if (key is not ("file" or "content" or "environment" or "name" or "labels") && !key.StartsWith("x-", StringComparison.Ordinal))
                        diagnostics.Error(value, key == "external" ? "there is no store of external ones on a device; use file, content or environment" : "is not known here; known are file, content, environment");
                var content = Content(entry);
                if (content is not null) sources.Define(kind, name, content);
                else sources.Define(kind, name, []);
            }
        }

        private byte[]? Content(MapNode entry)
        {
            if (values.Text(entry["content"]) is { } text) return Encoding.UTF8.GetBytes(text);
            if (values.Text(entry["environment"]) is { } variable)
            {
                if (sources.Variables.TryGetValue(variable, out var value)) return Encoding.UTF8.GetBytes(value);
                diagnostics.Error(entry["environment"]!, $"the variable {variable} is not set; set it in .env");
                return null;
            }

            if (values.Text(entry["file"]) is { } path)
            {
                if (sources.Read(path) is { } bytes) return bytes;
                diagnostics.Error(entry["file"]!, $"the file {path} cannot be read; put it beside the compose file");
                return null;
            }

            diagnostics.Error(entry, "needs file, content or environment");
            return null;
        }
    }
}
