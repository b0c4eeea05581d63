using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Trees;

namespace OsBuild.Tests.Images.SquashFs;

/// <summary>Random trees without what squashfs cannot hold: ACLs, parts of seconds, times before 1970 and after 2106.</summary>
internal static class SquashFsTrees
{
    public static List<TreeItem> Make(int seed, int count) => [.. RandomTree.Make(seed, count).Select(item => item with
    {
        Node = item.Node with
        {
            ModifiedAt = Math.Clamp(item.Node.ModifiedAt, 0, uint.MaxValue),
            ModifiedNanoseconds = 0,
            Xattrs = [.. item.Node.Xattrs.Where(x => !x.Name.StartsWith("system."))],
        },
    })];
}
