using System.Text.Json;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;
using OsBuild.Images;

namespace OsBuild.Flasher.Commands;

/// <summary><c>flasher check</c>: whether <c>flasher write</c> would take an image, read to its end. Needs no drive.</summary>
internal static class CheckCommand
{
    public static int Run(string image, string? sha256, bool json, CancellationToken stop) => WriteCommand.Guarded(json, () =>
    {
        if (HttpImage.IsAddress(image)) throw new RefusedException($"{image} is an address; download the file to check it (flasher write checks it while it comes).");
        long length;
        bool mapped;
        using (var view = CheckView.For(image, json, stop))
        {
            var source = ImageFile.Open(image, useMap: true, sha256, TimeSpan.Zero, view.Show, always: true);
            (length, mapped) = (source.Length!.Value, source.Map is not null);
        }

        var message = $"{image} is sound: {new ByteSize(length)}{(mapped ? ", as its block map says" : "")}.";
        Console.Out.WriteLine(json ? JsonSerializer.Serialize(new ResultLine("ok", message), OutputJson.Default.ResultLine) : message);
        return 0;
    });
}
