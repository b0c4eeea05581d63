using System.Text;
using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class HotPlugTests
{
    /// <summary>A USB serial converter (CP210x) as the kernel announces its interface.</summary>
    private const string Serial = "add@/devices/pci0000:00/usb1/1-1/1-1:1.0\0ACTION=add\0DEVPATH=/devices/pci0000:00/usb1/1-1/1-1:1.0\0SUBSYSTEM=usb\0DEVTYPE=usb_interface\0PRODUCT=10c4/ea60/100\0"
        + "MODALIAS=usb:v10C4pEA60d0100dc00dsc00dp00icFFiscFFip00in00\0SEQNUM=4711\0";

    private static Uevent? Parse(string text) => Uevent.Parse(Encoding.UTF8.GetBytes(text));

    [Fact]
    public void S95_Reads_what_the_kernel_says_of_a_device()
    {
        Assert.Equal(new("add", "/devices/pci0000:00/usb1/1-1/1-1:1.0", "usb:v10C4pEA60d0100dc00dsc00dp00icFFiscFFip00in00"), Parse(Serial));
        Assert.Equal(new("remove", "/class/tty/ttyUSB0", null), Parse("remove@/class/tty/ttyUSB0\0ACTION=remove\0"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\0\0")]
    [InlineData("libudev\0\xfe\xed\xca\xfe")]
    [InlineData("add")]
    [InlineData("@/devices/x\0MODALIAS=x\0")]
    [InlineData("add@devices/x\0MODALIAS=x\0")]
    public void What_is_no_event_is_none(string text) => Assert.Null(Parse(text));

    [Fact]
    public void S95_Asks_for_the_driver_of_what_comes_once_and_of_nothing_else()
    {
        var asked = new List<string>();
        var plug = new HotPlug(asked.Add);
        foreach (var text in (string[])[Serial, Serial.Replace("add", "remove"), Serial.Replace("add@", "bind@"), Serial, "add@/class/tty/ttyUSB0\0ACTION=add\0", "add@/x\0MODALIAS=\0", "", "add@/y\0MODALIAS=of:N(null)Cnxp,pcf8563\0"]) plug.Take(Parse(text));
        Assert.Equal(["usb:v10C4pEA60d0100dc00dsc00dp00icFFiscFFip00in00", "of:N(null)Cnxp,pcf8563"], asked);
    }

    [Fact]
    public void S95_The_program_is_the_modprobe_that_is_asked() => Assert.Equal(["usb:v10C4pEA60"], Modprobe.Names("/supervisor", ["modprobe", "-q", "--", "usb:v10C4pEA60"]));
}
