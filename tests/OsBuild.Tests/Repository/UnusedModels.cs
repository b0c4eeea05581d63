using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Text.Json;
using Docker.DotNet;

namespace OsBuild.Tests.Repository;

/// <summary>
/// The engine's client knows some 600 kinds of JSON, of which the supervisor uses less than half; the rest would be a fifth of the program. The file
/// <c>supervisor/Engine/UnusedModels.xml</c> tells the native compiler to leave them out. It is made here: whatever the supervisor's own code names of
/// the client, with all that hangs on it, stays.
/// </summary>
public sealed class UnusedModels
{
    private const string File = "supervisor/Engine/UnusedModels.xml";
    private const BindingFlags Any = BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
    private static readonly Assembly Client = typeof(DockerClient).Assembly;

    [Fact]
    public void Are_left_out_of_the_native_program_and_the_used_ones_are_not()
    {
        var path = Path.Combine(RepositoryTree.Root, File);
        var wanted = Text(Used());
        if (Environment.GetEnvironmentVariable("OSBUILD_ACCEPT") == "1") System.IO.File.WriteAllText(path, wanted);
        Assert.True(wanted == System.IO.File.ReadAllText(path), $"The supervisor uses other models of the engine's client than {File} says, so its native build would fail at run time. Make it anew: OSBUILD_ACCEPT=1 tests/OsBuild.Tests/bin/Release/net10.0/OsBuild.Tests -class '*.UnusedModels', and commit it.");
    }

    /// <summary>Every type of the client that the supervisor's metadata names, and what their properties need.</summary>
    private static HashSet<Type> Used()
    {
        using var image = new PEReader(System.IO.File.OpenRead(typeof(OsBuild.Supervisor.Api.Cli).Assembly.Location));
        var metadata = image.GetMetadataReader();
        var queue = new Queue<Type>(metadata.TypeReferences.Select(metadata.GetTypeReference).Select(t => Client.GetType($"{metadata.GetString(t.Namespace)}.{metadata.GetString(t.Name)}")).OfType<Type>());
        Assert.True(queue.Count > 50, "the supervisor uses the engine's client");
        var used = new HashSet<Type>();
        while (queue.TryDequeue(out var type))
        {
            if (!used.Add(type)) continue;
            foreach (var argument in type.GetGenericArguments()) queue.Enqueue(argument);
            if (type.GetElementType() is { } element) queue.Enqueue(element);
            if (!IsModel(type)) continue;
            foreach (var property in type.GetProperties(Any & ~BindingFlags.DeclaredOnly)) queue.Enqueue(property.PropertyType);
        }

        return used;
    }

    private static bool IsModel(Type type) => type.Assembly == Client && type.Namespace == "Docker.DotNet.Models";

    /// <summary>The models a type is made of: the client reads an array of what it gives as a list.</summary>
    private static IEnumerable<Type> ModelsIn(Type type) => type.HasElementType ? ModelsIn(type.GetElementType()!) : type.IsGenericType ? type.GetGenericArguments().SelectMany(ModelsIn) : IsModel(type) ? [type] : [];

    private static string Text(HashSet<Type> used)
    {
        var text = new StringBuilder("<!-- Made by tests/OsBuild.Tests/Repository/UnusedModels.cs, which tells how. -->\n<linker>\n  <assembly fullname=\"Docker.DotNet\">\n");
        var known = new HashSet<Type>();
        foreach (var context in Options.TypeInfoResolverChain.Select(r => r.GetType()))
        {
            text.Append($"    <type fullname=\"{context.FullName}\">\n");
            foreach (var method in context.GetMethods(Any).Where(m => IsUnused(m, used, known)).OrderBy(m => m.Name, StringComparer.Ordinal))
                text.Append($"      <method signature=\"{Name(method.ReturnType)} {method.Name}({string.Join(',', method.GetParameters().Select(p => Name(p.ParameterType)))})\" body=\"remove\" />\n");
            text.Append("    </type>\n");
            known.UnionWith(context.GetMethods(Any).Where(m => m.Name.StartsWith("Create_", StringComparison.Ordinal)).Select(m => m.ReturnType));
        }

        return text.Append("  </assembly>\n</linker>\n").ToString();
    }

    /// <summary>A kind of JSON the supervisor has no use for, or one that an earlier context is asked for first. Of the others, the writer for plain
    /// options: the client's have converters of their own, so it never goes that way (System.Text.Json, JsonSerializerContext.IsCompatibleWithOptions).</summary>
    private static bool IsUnused(MethodInfo method, HashSet<Type> used, HashSet<Type> known)
    {
        const string Create = "Create_", Handler = "SerializeHandler";
        if (method.Name.EndsWith(Handler, StringComparison.Ordinal)) return !IsUnused(method.DeclaringType!.GetMethod(Create + method.Name[..^Handler.Length], Any)!, used, known);
        return method.Name.StartsWith(Create, StringComparison.Ordinal) && (known.Contains(method.ReturnType) || ModelsIn(method.ReturnType.GetGenericArguments()[0]).Any(t => !used.Contains(t)));
    }

    /// <summary>How the client reads and writes all JSON.</summary>
    private static JsonSerializerOptions Options
    {
        get
        {
            var serializer = Client.GetType("Docker.DotNet.JsonSerializer", throwOnError: true)!;
            var instance = serializer.GetProperty("Instance", Any)!.GetValue(null);
            return (JsonSerializerOptions)serializer.GetFields(Any).Single(f => f.FieldType == typeof(JsonSerializerOptions)).GetValue(instance)!;
        }
    }

    [Fact]
    public void The_client_never_takes_the_short_way_of_writing_JSON() => Assert.NotEmpty(Options.Converters);

    /// <summary>A type as the compiler's files write it, with the marks of XML escaped.</summary>
    private static string Name(Type type) => type.IsNested ? $"{Name(type.DeclaringType!)}/{type.Name}" : type.IsArray ? Name(type.GetElementType()!) + "[]"
        : type.IsGenericType ? $"{type.Namespace}.{type.Name}&lt;{string.Join(',', type.GetGenericArguments().Select(Name))}&gt;" : $"{type.Namespace}.{type.Name}";
}
