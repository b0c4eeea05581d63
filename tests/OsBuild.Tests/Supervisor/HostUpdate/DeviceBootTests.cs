using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

public sealed class DeviceBootTests
{
    private const string Json = """
        { "board": "qemux86-64", "boot": { "scheme": "systemd-boot-counter", "tries": 5 },
          "slots": { "a": { "partition": "root-a", "partuuid": "u-a", "version": "1" }, "b": { "partition": "root-b", "partuuid": "u-b" } } }
        """;

    [Fact]
    public void Reads_image_json()
    {
        var device = DeviceBoot.Parse(Json)!;
        Assert.Equal(("qemux86-64", DeviceBoot.SystemdBoot, null, 5), (device.Board, device.Scheme, device.Store, device.Tries));
        Assert.Equal(new SlotPlace("root-b", "u-b"), device.Slots["b"]);
        Assert.Null(device.Obstacle);
        Assert.Equal("loader/entry.conf", device.Key);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{ "board": "x", "slots": {} }""")] // of an earlier image-builder
    [InlineData("""{ "boot": { "scheme": 3 }, "slots": {} }""")]
    [InlineData("""{ "boot": { "scheme": "none", "tries": "x" }, "slots": {} }""")]
    public void What_says_too_little_is_none(string json) => Assert.Null(DeviceBoot.Parse(json));

    [Fact]
    public void A_device_without_a_file_has_none() => Assert.Null(DeviceBoot.Read("/nowhere/image.json"));

    [Theory]
    [InlineData("none", "has no way back")]
    [InlineData("rauc-bootmeth", "has no way back")]
    [InlineData("grub-grubenv", "where the loader keeps its choice")]
    [InlineData("u-boot-bootcount", "where the loader keeps its choice")]
    public void A_board_that_cannot_go_back_is_not_tried(string scheme, string why)
    {
        var device = DeviceBoot.Parse(Json.Replace("systemd-boot-counter", scheme))!;
        Assert.Contains(why, device.Obstacle);
        Assert.Contains("flasher", device.Obstacle);
    }

    [Fact]
    public void A_disk_with_one_slot_cannot_be_updated() => Assert.Contains("one slot only", DeviceBoot.Parse(Json.Replace("\"b\":", "\"c\":"))!.Obstacle);
}
