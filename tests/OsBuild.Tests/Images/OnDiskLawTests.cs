using System.Reflection;
using OsBuild.Images;

namespace OsBuild.Tests.Images;

/// <summary>The one law of all on-disk records: what was read is written back byte for byte, in exactly Size bytes.</summary>
public sealed class OnDiskLawTests
{
    /// <summary>Records that are only ever written new and drop fields we never set; for them, what was written once stays the same.</summary>
    private static readonly string[] WrittenNewOnly = ["OsBuild.Images.Ext4.SuperBlock"];

    public static TheoryData<Type> Records => [.. typeof(IOnDisk<>).Assembly.GetTypes().Where(t =>
        t.IsValueType && t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IOnDisk<>)))];

    [Theory]
    [MemberData(nameof(Records))]
    public void Writes_back_what_it_read(Type record) =>
        typeof(OnDiskLawTests).GetMethod(nameof(Holds), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(record).Invoke(null, null);

    [Fact]
    public void Knows_the_records_of_all_formats()
    {
        var names = Records.Select(r => r.Data.Name).ToList();
        Assert.Contains("GptHeader", names);
        Assert.Contains("DirectoryEntry", names);
    }

    private static void Holds<T>() where T : struct, IOnDisk<T>
    {
        var random = new Random(1);
        for (var turn = 0; turn < 200; turn++)
        {
            var bytes = new byte[T.Size];
            random.NextBytes(bytes);
            if (WrittenNewOnly.Contains(typeof(T).FullName)) T.Read(bytes).Write(bytes = new byte[T.Size]);
            var written = new byte[T.Size];
            Array.Fill(written, (byte)0xD1);
            T.Read(bytes).Write(written);
            Assert.Equal(bytes, written);
        }
    }
}
