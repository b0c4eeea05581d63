namespace OsBuild.SystemTests;

/// <summary>The demo on a disk of its own.</summary>
internal static class DemoDisk
{
    /// <summary>Makes the demo's image for qemux86-64 with another compose file, on a disk of 4 GiB.</summary>
    /// <param name="folder">Where the disk and what it is made from are left.</param>
    /// <param name="compose">The compose file.</param>
    /// <param name="archives">Archives of images for the boot partition, beside the demo's own.</param>
    public static DiskFile Make(string folder, string compose, params string[] archives)
    {
        Checkout.Image("qemux86-64"); // makes what this one is built from
        var (file, images) = (Path.Combine(folder, "compose.yaml"), Path.Combine(folder, "images"));
        File.WriteAllText(file, compose);
        string[] all = [Path.Combine(Checkout.Work, "demo/amd64/demo.tar"), .. archives];
        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), ["build", "qemux86-64", "--deploy", Path.Combine(Checkout.Work, "deploy/qemux86-64"), "--output", images,
            "--image", "osbuild-reference", "--supervisor", Checkout.Program("supervisor"), "--compose", file, .. all.SelectMany(a => (string[])["--load", a])]).MustPass("image-builder build");
        var disk = Directory.EnumerateFiles(images, "*.img").Single();
        using (var image = File.OpenWrite(disk)) image.SetLength(4L << 30);
        return new DiskFile(disk);
    }
}
