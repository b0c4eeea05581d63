using System.Runtime.InteropServices;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Opens planned files.</summary>
internal static class Sources
{
    public static Stream Open(Source source) => source switch
    {
        Source.FromFile file => file.File.Open(),
        // No copy: an initramfs is large.
        Source.Made made when MemoryMarshal.TryGetArray(made.Bytes, out var bytes) => new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count, writable: false),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    public static void Add(TreeWriter writer, RootEntry entry)
    {
        using var content = entry.Source is { } source ? Open(source) : Stream.Null;
        writer.Add(entry.Node, content);
    }
}
