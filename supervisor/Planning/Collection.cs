using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>Which images are thrown away. Always: those that were ours and that nothing needs. When the disk fills also, in this order: images
/// without a name that nothing uses (left over from pulls and builds), those of the release that was good before the last good one, then those of a
/// release that is bad. Never: an image of a container, of the last good release, or a volume.</summary>
internal static class Collection
{
    private const int Tries = 3;

    public static void Plan(CurrentState current, TargetState target, List<Step> steps)
    {
        var needed = Needed(current, target, out var ofBad);
        var ofBefore = OfBefore(current, target);
        var low = current.Disk.Low;
        // While a release is on its way nothing is thrown away, unless that makes the room it needs.
        if (!low && steps.Exists(s => s is Step.Fetch or Step.Load or Step.Create or Step.MarkBad or Step.Repair)) return;
        var first = steps.Count;
        foreach (var (id, reference) in current.Memory.Images)
            if (!needed.Contains(id) && !ofBad.Contains(id) && !ofBefore.Contains(id) && current.Images.Exists(i => i.Id == id)) Remove(id, reference, "no service and no last good release needs it");
        if (!low || steps.Count > first) return;
        var why = $"only {current.Disk} are left on the data partition";
        foreach (var image in current.Images)
            if (image.References.Count == 0 && !needed.Contains(image.Id) && !ofBad.Contains(image.Id) && !ofBefore.Contains(image.Id)) Remove(image.Id, image.Id[..Math.Min(19, image.Id.Length)], $"{why}, and it has no name");
        if (steps.Count > first) return;
        foreach (var id in ofBefore)
            if (!needed.Contains(id) && !ofBad.Contains(id) && current.Images.Find(i => i.Id == id) is { } image) Remove(id, image.References.FirstOrDefault() ?? id, $"{why}, and its release has been replaced by a good one");
        if (steps.Count > first) return;
        foreach (var id in ofBad)
            if (!needed.Contains(id)) Remove(id, current.Images.Find(i => i.Id == id)?.References.FirstOrDefault() ?? id, $"{why}, and its release is bad");
        if (steps.Count == first && current.Disk.Full) steps.Add(new Step.Wait("room on the data partition", null, $"{why}, and everything on it is in use"));

        void Remove(string id, string reference, string cause)
        {
            if (!current.Failures.TryGetValue("image " + id, out var failure) || failure.Count < Tries) steps.Add(new Step.RemoveImage(id, reference, cause));
        }
    }

    /// <summary>The images a person could go back to. A service that is updated by delete-then-download has room for one only.</summary>
    private static HashSet<string> OfBefore(CurrentState current, TargetState target)
    {
        var images = new HashSet<string>();
        foreach (var before in current.Memory.Before.Values)
            foreach (var (service, id) in before.ImageIds ?? [])
                if (target.Find(before.App) is { } release && release.Services.GetValueOrDefault(service)?.Update.Strategy != UpdateStrategy.DeleteThenDownload) images.Add(id);
        return images;
    }

    private static HashSet<string> Needed(CurrentState current, TargetState target, out List<string> ofBad)
    {
        var needed = current.Containers.Select(c => c.ImageId).ToHashSet();
        ofBad = [];
        foreach (var good in current.Memory.Good.Values.Where(g => target.Find(g.App) is not null)) needed.UnionWith(good.ImageIds?.Values.AsEnumerable() ?? []);
        foreach (var release in target.Apps)
        {
            // A bad target's own images stay while there is room: one that was loaded by hand could never be had again.
            var images = release.Services.Values.Select(s => current.Image(s.Image)?.Id).OfType<string>().ToList();
            if (current.Memory.Good.ContainsKey(release.App) && AppPlan.IsBad(current, release)) ofBad.AddRange(images);
            else needed.UnionWith(images);
        }

        return needed;
    }
}
