namespace OsBuild.Images.Copying;

/// <summary>The sentences at the end of a copy: what happened, what state the medium is in, what to do next.</summary>
internal static class Outcomes
{
    public static CopyOutcome Done(Lane lane, long length, bool verified)
    {
        var repaired = lane.Repaired > 0 ? $"; {new ByteSize(lane.Repaired)} read back wrong at first and had to be written again: do not trust this drive for long" : "";
        var how = verified ? "written and read back" : "written, not read back";
        return Counted(lane, new CopyOutcome(CopyResult.Done, $"{lane.Medium.Name}: {new ByteSize(length)} {how}{repaired}."));
    }

    public static CopyOutcome Failed(Lane lane, Exception failure, bool nothingWritten) => Counted(lane, failure switch
    {
        OperationCanceledException => new CopyOutcome(CopyResult.Cancelled, $"Stopped. {State(lane, nothingWritten)}"),
        MediumReadsWrongException wrong => new CopyOutcome(
            CopyResult.VerifyFailed,
            $"{lane.Medium.Name} does not keep what is written to it: the first wrong byte is at offset {wrong.Offset}, {new ByteSize(wrong.Bytes)} are bad after all attempts. {State(lane, nothingWritten)} Throw the drive away; cards that claim more than they hold fail like this.")
            { FirstBadOffset = wrong.Offset },
        _ => new CopyOutcome(CopyResult.Failed, nothingWritten ? failure.Message : $"{failure.Message} {State(lane, nothingWritten)}"),
    });

    private static string State(Lane lane, bool nothingWritten) => nothingWritten
        ? $"Nothing was written to {lane.Medium.Name}."
        : $"{lane.Medium.Name} does not hold the image; its first MiB is blank, so nothing boots from it. Write it again.";

    private static CopyOutcome Counted(Lane lane, CopyOutcome outcome) => outcome with
    {
        Written = lane.Written,
        Skipped = lane.Skipped,
        Verified = lane.Verified,
        Repaired = lane.Repaired,
        FirstBadOffset = outcome.FirstBadOffset ?? lane.FirstWrong,
    };
}
