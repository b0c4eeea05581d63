using OsBuild.ImageBuilder.Facts;

namespace OsBuild.Tests.Builder;

public sealed class ModuleSetTests
{
    [Theory]
    [InlineData("lib/modules/6.6.21-yocto/kernel/fs/ext4.ko", "6.6.21-yocto")]
    [InlineData("usr/lib/modules/6.6.21-yocto/modules.dep", "6.6.21-yocto")]
    [InlineData("lib/modules/6.1.0", "6.1.0")]
    [InlineData("lib/modules", null)]
    [InlineData("lib/modules-load.d/a.conf", null)]
    [InlineData("usr/usr/lib/modules/6.1.0/a", null)]
    [InlineData("opt/lib/modules/6.1.0/a", null)]
    [InlineData("usr/share/doc", null)]
    public void The_version_is_the_folder_below_lib_modules(string path, string? version) => Assert.Equal(version, ModuleSet.VersionOf(path));

    [Theory]
    [InlineData("lib/modules/6.1.0/modules.dep", true)]
    [InlineData("usr/lib/modules/6.1.0/modules.alias", true)]
    [InlineData("lib/modules/6.1.0/modules.dep.bin", false)]
    [InlineData("lib/modules/6.1.0/kernel/drivers/modules.dep", false)]
    [InlineData("etc/modules.dep", false)]
    public void The_tables_lie_beside_the_modules(string path, bool isTable) => Assert.Equal(isTable, ModuleSet.IsTable(path));
}
