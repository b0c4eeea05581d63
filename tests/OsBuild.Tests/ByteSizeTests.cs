using OsBuild.Images;

namespace OsBuild.Tests;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("512", 512)]
    [InlineData("64KiB", 65536)]
    [InlineData("128 MiB", 134217728)]
    [InlineData("1.5GiB", 1610612736)]
    [InlineData("4M", 4194304)]
    public void Reads_sizes_with_binary_units(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MiB")]
    [InlineData("12 parsecs")]
    [InlineData("-1")]
    [InlineData("9999999999TiB")]
    public void Refuses_what_is_no_size(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(134217728, "128 MiB")]
    [InlineData(1610612736, "1.5 GiB")]
    public void Prints_the_largest_unit_that_fits(long bytes, string text) => Assert.Equal(text, new ByteSize(bytes).ToString());
}
