using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Trees;

public sealed class PosixAclTests
{
    private const string Long = "user::rwx,user:1000:r--,user:7:-w-,group::r-x,group:50:--x,mask::rwx,other::---";

    [Theory]
    [InlineData(Long)]
    [InlineData("u::rwx,u:7:-w-,u:1000:r--,g::r-x,g:50:--x,m::rwx,o::---")]
    [InlineData("# file: x\nuser::rwx\nuser:lp:-w-:7\nuser:joe:r--:1000\ngroup::r-x\ngroup:staff:--x:50\nmask::rwx\nother::---\n")]
    public void All_forms_of_text_give_the_same_list(string text)
    {
        var acl = PosixAcl.FromText(text)!;
        Assert.Equal(PosixAcl.FromText(Long), acl);
        Assert.Equal("02000000" + "01000700FFFFFFFF" + "0200020007000000" + "02000400E8030000" + "04000500FFFFFFFF" + "0800010032000000" + "10000700FFFFFFFF" + "20000000FFFFFFFF", Convert.ToHexString(acl));
    }

    [Fact]
    public void Comes_back_from_the_medium()
    {
        var acl = PosixAcl.FromText(Long)!;
        var disk = Ext4Acl.ToDisk("x", acl);
        Assert.Equal(4 + (4 * 4) + (3 * 8), disk.Length);
        Assert.Equal(acl, Ext4Acl.FromDisk(disk));
        for (var length = 0; length < disk.Length; length++)
            Assert.True(Ext4Acl.FromDisk(disk.AsSpan(0, length)) is null || length >= 4);
    }

    [Theory]
    [InlineData("")]
    [InlineData("user::rwx,group::r-x,other::---")]
    public void Says_nothing_when_the_mode_says_it_all(string text) => Assert.Null(PosixAcl.FromText(text));

    [Theory]
    [InlineData("user:joe:rwx", "--numeric-owner")]
    [InlineData("user:rwx", "not sound")]
    [InlineData("king::rwx", "not sound")]
    [InlineData("user::rwz", "not sound")]
    [InlineData("mask:3:rwx", "not sound")]
    public void Refuses_other_entries(string text, string says) => Assert.Contains(says, Assert.Throws<ImageException>(() => PosixAcl.FromText(text)).Message);
}
