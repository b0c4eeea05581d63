using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>Targets and a simulated device for the scenarios.</summary>
internal sealed class Given(World world)
{
    public World World => world;

    public static Service Service(string name, string image, Func<Service, Service>? change = null)
    {
        var service = new Service { Name = name, Image = image, Restart = RestartPolicy.Always, Container = new() { Networks = [new("default")], Healthcheck = new() { Test = ["CMD", "true"] } }, Update = new() { ProvingTime = TimeSpan.FromSeconds(10) } };
        return change is null ? service : change(service);
    }

    /// <summary>A service updated by this strategy.</summary>
    public static Service By(UpdateStrategy strategy, string image, bool ports = false, bool signal = false) => Service("a", image, s => s with
    {
        Update = s.Update with { Strategy = strategy, Signal = signal },
        Container = s.Container with { Ports = ports ? [new(80, 80)] : null },
    });

    public static TargetState Target(params Service[] services) => new([Release("app", services)]);

    public static Release Release(string app, params Service[] services)
    {
        var release = new Release { App = app };
        release.Networks["default"] = new();
        foreach (var service in services) release.Services[service.Name] = service;
        return release;
    }

    public void Image(string reference, Behaviour behaviour = Behaviour.Good)
    {
        var id = "sha256:" + reference;
        world.Registry[ImageReference.Normalize(reference)] = id;
        world.Behave(id, behaviour);
    }

    public void Images(params ReadOnlySpan<string> references)
    {
        foreach (var reference in references) Image(reference);
    }

    /// <summary>Goes on until nothing is left to do; gives all that was done.</summary>
    public List<Step> Settle(TargetState target, int rounds = 300)
    {
        var done = new List<Step>();
        for (var quiet = 0; quiet < 3 && rounds-- > 0;)
        {
            var plan = world.Round(target);
            done.AddRange(plan.Where(s => s is not Step.Wait));
            quiet = plan.Count == 0 ? quiet + 1 : 0;
        }

        return done;
    }

    public ContainerState The(string service) => Assert.Single(world.Containers, c => c.Service == service);

    public static int IndexOf<T>(List<Step> steps, string name) where T : Step => steps.FindIndex(s => s is T && s.What.Contains(name, StringComparison.Ordinal));
}
