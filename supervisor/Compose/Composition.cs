using System.Text;

namespace OsBuild.Supervisor.Compose;

/// <summary>Puts a compose file together from what it includes and extends, before anything is interpreted.</summary>
internal sealed class Composition(ComposeSources sources, Diagnostics diagnostics)
{
    private const int MaxFiles = 32;

    private readonly Dictionary<string, MapNode?> loaded = [];
    private readonly Values values = new(diagnostics);

    public MapNode? Load(string file, string text)
    {
        if (Parse(file, text) is not { } root) return null;
        root = WithIncludes(root, [file]);
        if (root["services"] is not MapNode services) return root;
        var extended = services.Entries.Select(e => new KeyValuePair<string, Node>(e.Key, e.Value is MapNode s ? Extended(s, services, [$"{file}#{e.Key}"]) : e.Value));
        return root.With("services", services with { Entries = [.. extended] });
    }

    private MapNode? Parse(string file, string text) => new YamlTree(file, new Interpolation(sources.Variables), diagnostics).Read(text);

    private MapNode? LoadOther(string path, Node at)
    {
        if (loaded.TryGetValue(path, out var known)) return known;
        if (loaded.Count >= MaxFiles) diagnostics.Error(at, $"more than {MaxFiles} files are put together");
        else if (sources.Read(path) is { } bytes) return loaded[path] = Parse(path, Encoding.UTF8.GetString(bytes));
        else diagnostics.Error(at, $"the file {path} cannot be read; put it beside the compose file");
        return loaded[path] = null;
    }

    private MapNode WithIncludes(MapNode root, List<string> chain)
    {
        if (root["include"] is not { IsNull: false } include) return root;
        foreach (var item in include is ListNode list ? list.Items : [include])
        {
            var map = item as MapNode;
            if (map is not null && map.Entries.Exists(e => e.Key is "project_directory" or "env_file")) diagnostics.Error(map, "include with its own project_directory or env_file is not supported");
            foreach (var path in values.List(map is null ? item : map["path"]) ?? [])
            {
                if (chain.Contains(path))
                {
                    diagnostics.Error(item, $"{path} includes itself");
                    continue;
                }

                if (LoadOther(path, item) is not { } other) continue;
                root = Add(root, WithIncludes(other, [.. chain, path]));
            }
        }

        return root;
    }

    private MapNode Add(MapNode root, MapNode other)
    {
        foreach (var kind in (string[])["services", "networks", "volumes", "configs", "secrets"])
        {
            if (other[kind] is not MapNode theirs) continue;
            var ours = root[kind] as MapNode ?? theirs with { Entries = [] };
            foreach (var (name, node) in theirs.Entries)
                if (ours[name] is null) ours = ours.With(name, node);
                else diagnostics.Error(ours[name]!, $"'{name}' is also defined in the included file {node.File}");
            root = root.With(kind, ours);
        }

        return root;
    }

    private MapNode Extended(MapNode service, MapNode siblings, List<string> chain)
    {
        if (service["extends"] is not { IsNull: false } extends) return service;
        var map = extends as MapNode;
        var name = values.Text(map is null ? extends : map["service"]);
        var file = map is null ? null : values.Text(map["file"]);
        if (name is null)
        {
            diagnostics.Error(extends, "needs the name of a service");
            return service;
        }

        var others = file is null ? siblings : LoadOther(file, extends)?["services"] as MapNode;
        if (others?[name] is not MapNode original)
        {
            if (file is null || others is not null) diagnostics.Error(extends, $"the service '{name}' does not exist{(file is null ? "" : $" in {file}")}");
            return service;
        }

        var link = $"{original.File}#{name}";
        if (chain.Contains(link))
        {
            diagnostics.Error(extends, $"'{name}' extends itself");
            return service;
        }

        return Merge.Maps(Extended(original, others, [.. chain, link]), service.Without("extends"));
    }
}
