using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>A person goes back to the release before: from one on trial, and from one that has proved itself.</summary>
public sealed class GoingBackTests
{
    private readonly World world = new(new Random(1));
    private readonly Given given;

    public GoingBackTests()
    {
        given = new(world);
        given.Images("a:1", "a:2", "a:3");
        world.Skips = 0;
    }

    private static TargetState Release(int version) => Given.Target(Given.Service("a", $"a:{version}"));

    private (JournalEntry? Entry, string Text) Ask(int version) => GoingBack.Decide(world.Memory, world.Observe(), Release(version).Apps[0], "a person");

    private void GoBack(int version)
    {
        var (entry, text) = Ask(version);
        Assert.True(entry is not null, text);
        world.Memory = world.Memory.Apply(entry);
        given.Settle(Release(version));
    }

    [Fact]
    public void From_a_good_release_to_the_one_before_it_with_its_very_image()
    {
        given.Settle(Release(1));
        given.Settle(Release(2));
        // The name means another image by now; the release goes back to what it proved itself with.
        world.Registry["docker.io/library/a:1"] = "sha256:other";
        GoBack(2);
        Assert.Equal("sha256:a:1", given.The("a").ImageId);
        Assert.True(given.The("a").Up);
        Assert.Equal("a:1", world.Memory.Good["app"].Services["a"].Image);
        Assert.Contains(world.Memory.Bad, b => b.Reason == "a person");
        Assert.Contains("is back at its last good release already", Ask(2).Text);
    }

    [Fact]
    public void From_a_release_on_trial_to_the_last_good_one()
    {
        given.Settle(Release(1));
        for (var i = 0; i < 3; i++) world.Round(Release(2));
        Assert.Equal("a:1", world.Memory.Good["app"].Services["a"].Image);
        GoBack(2);
        Assert.Equal("sha256:a:1", given.The("a").ImageId);
    }

    [Fact]
    public void After_going_back_the_next_release_goes_its_way_and_can_be_given_up_too()
    {
        given.Settle(Release(1));
        given.Settle(Release(2));
        GoBack(2);
        given.Settle(Release(3));
        Assert.Equal("sha256:a:3", given.The("a").ImageId);
        GoBack(3);
        Assert.Equal("sha256:a:1", given.The("a").ImageId);
    }

    [Fact]
    public void Without_a_way_back_it_says_why()
    {
        Assert.Contains("no release of app was good before this one", Ask(1).Text);
        given.Settle(Release(1));
        Assert.Contains("no other one is remembered", Ask(1).Text);
        given.Settle(Release(2));
        Assert.Contains("the engine has not answered yet", GoingBack.Decide(world.Memory, null, Release(2).Apps[0], "").Text);
        world.Present.Remove("sha256:a:1");
        Assert.Contains("needs a:1, which this device does not have any more", Ask(2).Text);
        Assert.Null(Ask(2).Entry);
    }

    [Fact]
    public void A_release_that_proves_itself_again_does_not_take_the_place_of_the_one_before()
    {
        given.Settle(Release(1));
        given.Settle(Release(2));
        // The same release with a newer image behind its name.
        world.Registry["docker.io/library/a:2"] = "sha256:a:2 rebuilt";
        world.Present.Add("sha256:a:2 rebuilt");
        given.Settle(Release(2));
        Assert.Equal("a:1", world.Memory.Before["app"].Services["a"].Image);
    }

    [Fact]
    public void Going_back_is_one_entry_of_the_journal()
    {
        var directory = Directory.CreateTempSubdirectory("osb-back").FullName;
        try
        {
            var (one, two) = (Release(1).Apps[0] with { ImageIds = new() { ["a"] = "sha256:a:1" } }, Release(2).Apps[0] with { ImageIds = new() { ["a"] = "sha256:a:2" } });
            using (var journal = Journal.Open(directory))
            {
                journal.Append(new JournalEntry.ReleaseGood(one));
                journal.Append(new JournalEntry.ReleaseGood(two));
                journal.Append(new JournalEntry.GoneBack(new("app", two.Fingerprint(), [], "a person", "")));
            }

            using var again = Journal.Open(directory);
            Assert.Equal(one.Fingerprint(), again.Memory.Good["app"].Fingerprint());
            Assert.Empty(again.Memory.Before);
            Assert.Equal(two.Fingerprint(), Assert.Single(again.Memory.Bad).Fingerprint);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
