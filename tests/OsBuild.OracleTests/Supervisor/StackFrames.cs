namespace OsBuild.OracleTests.Supervisor;

/// <summary>The native program has no names for its stack frames; what publishing leaves beside it does.</summary>
public sealed class StackFrames
{
    [Fact]
    public void An_exception_says_what_it_is_and_its_frames_can_be_given_their_names()
    {
        var (program, symbols) = (Checkout.Program("supervisor"), Checkout.Program("supervisor.symbols"));
        var directory = Directory.CreateTempSubdirectory("osb-frames").FullName;
        try
        {
            File.WriteAllText(Path.Combine(directory, "file"), "in the way");
            var host = string.Join(' ', new[] { "BOOT", "STATE", "DATA" }.Select(n => $"OSBUILD_{n}={directory}"));
            var crash = Judge.Run("sh", "-c", $"ulimit -c 0; env {host} OSBUILD_RUN={directory}/file/run OSBUILD_ENGINE={directory}/none OSBUILD_PORT=0 {program} worker --containers-only > {directory}/log 2>&1; cat {directory}/log");
            Assert.Contains("System.IO.DirectoryNotFoundException: Could not find a part of the path", crash.Output);
            Assert.Contains("   at supervisor!<BaseAddress>+0x", crash.Output);
            var named = Judge.Run("sh", "-c", $"{Checkout.Top}/tests/reference/frames.sh {symbols} < {directory}/log").MustPass("frames.sh").Output;
            Assert.Contains("System.IO.DirectoryNotFoundException: Could not find a part of the path", named);
            Assert.Matches(@"at supervisor!<BaseAddress>\+0x[0-9a-f]+ supervisor_OsBuild_Supervisor_Running_Worker\w+", named);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
