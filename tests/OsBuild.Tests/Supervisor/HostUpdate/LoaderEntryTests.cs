using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

public sealed class LoaderEntryTests
{
    [Theory]
    [InlineData("slot-a.conf", "slot-a", null, null)]
    [InlineData("slot-b+3.conf", "slot-b", 3, null)]
    [InlineData("slot-b+2-1.conf", "slot-b", 2, 1)]
    [InlineData("slot-b+0-3.conf", "slot-b", 0, 3)]
    public void Reads_and_writes_the_loader_s_names(string name, string id, int? left, int? done)
    {
        var entry = LoaderEntry.Parse(name)!;
        Assert.Equal(new LoaderEntry(id, left, done), entry);
        Assert.Equal(name, entry.ToString());
    }

    [Theory]
    [InlineData("slot-a.conf.new")]
    [InlineData("slot-b+.conf")]
    [InlineData("slot-b+x.conf")]
    [InlineData("slot-b+1-.conf")]
    [InlineData("+3.conf")]
    [InlineData(".conf")]
    [InlineData("")]
    public void Other_files_are_no_entries(string name) => Assert.Null(LoaderEntry.Parse(name));

    [Theory]
    [InlineData("slot-b+2-1.conf", "slot-b+3.conf")]
    [InlineData("slot-b+0-3.conf", "slot-b+1-2.conf")]
    [InlineData("slot-b+3.conf", "slot-b+3.conf")]
    [InlineData("slot-b.conf", "slot-b.conf")]
    public void A_try_is_given_back(string name, string uncounted) => Assert.Equal(uncounted, LoaderEntry.Parse(name)!.UncountedName);

    [Theory]
    [InlineData("title x\nsort-key osbuild-9998\nlinux /slot-b/bzImage\n", 9998)]
    [InlineData("sort-key  osbuild-0001 \r\n", 1)]
    [InlineData("title x\nlinux /slot-b/bzImage\n", 9999)]
    [InlineData("sort-key osbuild\n", 9999)]
    [InlineData("#sort-key osbuild-0001\n", 9999)]
    public void The_order_of_entries_is_read(string entry, int sort) => Assert.Equal(sort, LoaderEntry.SortOf(entry));
}
