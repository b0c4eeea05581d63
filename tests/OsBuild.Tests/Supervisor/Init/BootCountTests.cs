using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class BootCountTests
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

    [Fact]
    public void A_trial_that_does_well_becomes_good_by_one_rename() =>
        Assert.Equal(("slot-b+2-1.conf", "slot-b.conf"), BootCount.Rename(["slot-a.conf", "slot-b+2-1.conf", "loader.conf"], "b"));

    [Fact]
    public void Only_the_slot_that_runs_is_marked() => Assert.Null(BootCount.Rename(["slot-a.conf", "slot-b+2-1.conf"], "a"));

    [Fact]
    public void A_good_slot_is_left_alone_so_that_the_boot_partition_is_not_written_at_every_boot() =>
        Assert.Null(BootCount.Rename(["slot-a.conf", "slot-b.conf"], "a"));

    [Fact]
    public void A_last_try_counts_too() => Assert.Equal(("slot-a+0-3.conf", "slot-a.conf"), BootCount.Rename(["slot-a+0-3.conf"], "a"));

    [Fact]
    public void A_board_with_another_loader_has_nothing_to_mark() => Assert.False(BootCount.MarkGood("/nowhere", "a"));
}
