using OsBuild.Images.Trees;

namespace OsBuild.Images.Cpio;

/// <summary>Writes a cpio archive in the kernel's initramfs form (newc, Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
public sealed class CpioWriter(Stream target)
{
    private readonly Stream _target = target;

    /// <summary>Adds an entry; parents must come before their children, the kernel makes no directories.</summary>
    public void Add(Node node, Stream content) => throw new NotImplementedException(_target.ToString());

    /// <summary>Writes the trailer.</summary>
    public void Finish() => throw new NotImplementedException();
}
