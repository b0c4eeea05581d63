using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>When the time line may say that the containers are started.</summary>
public sealed class AllStartedTests
{
    private static readonly TargetState Target = new([new Release
    {
        App = "demo",
        Services = new()
        {
            ["web"] = new Service { Name = "web", Image = "web:1" },
            ["job"] = new Service { Name = "job", Image = "job:1" },
            ["off"] = new Service { Name = "off", Image = "off:1", Running = false },
        },
    }]);

    private static ContainerState Container(string service, ContainerStatus status, bool startedThisBoot = false, string app = "demo") =>
        new() { Id = app + service, App = app, Service = service, Hash = "", ImageId = "", Status = status, StartedThisBoot = startedThisBoot };

    [Fact]
    public void All_that_should_run_does() =>
        Assert.True(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running), Container("job", ContainerStatus.Running)] }, Target));

    [Fact]
    public void A_job_that_ran_since_the_boot_has_been_started() =>
        Assert.True(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running), Container("job", ContainerStatus.Exited, startedThisBoot: true)] }, Target));

    [Fact]
    public void One_that_is_missing_or_only_created_or_ran_before_the_boot_is_not_started()
    {
        Assert.False(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running)] }, Target));
        Assert.False(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running), Container("job", ContainerStatus.Created)] }, Target));
        Assert.False(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running), Container("job", ContainerStatus.Exited)] }, Target));
    }

    [Fact]
    public void A_container_of_another_app_does_not_count() =>
        Assert.False(Planner.AllStarted(new() { Containers = [Container("web", ContainerStatus.Running), Container("job", ContainerStatus.Running, app: "other")] }, Target));

    [Fact]
    public void Nothing_to_run_is_all_started() => Assert.True(Planner.AllStarted(new(), TargetState.Nothing));
}
