
namespace OsBuild.ImageBuilder.Building;

/// <summary>How far a job is. The numbers go to <paramref name="show"/> at most ten times a second.</summary>
/// <param name="time">Where the time comes from.</param>
/// <param name="show">Phase, bytes done, bytes in all, bytes per second.</param>
internal sealed class Progress(TimeProvider time, Action<string, long, long, long> show)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>A job nobody watches.</summary>
    public static readonly Progress Silent = new(TimeProvider.System, (_, _, _, _) => { });

    /// <summary>Starts a phase of <paramref name="total"/> bytes.</summary>
    public Step Begin(string phase, long total) => new(this, phase, total);

    /// <summary>One phase of a job.</summary>
    internal sealed class Step
    {
        private readonly Progress _owner;
        private readonly string _phase;
        private readonly long _total, _started;
        private long _done, _shown;

        internal Step(Progress owner, string phase, long total)
        {
            (_owner, _phase, _total) = (owner, phase, total);
            _started = _shown = owner.Now;
            Show();
        }

        public void Add(long bytes) => At(_done + bytes);

        public void At(long done)
        {
            _done = done;
            if (_owner.ElapsedSince(_shown) < Interval) return;
            _shown = _owner.Now;
            Show();
        }

        public void End()
        {
            _done = _total;
            Show();
        }

        private void Show()
        {
            var seconds = _owner.ElapsedSince(_started).TotalSeconds;
            _owner.Tell(_phase, _done, _total, seconds < 0.001 ? 0 : (long)(_done / seconds));
        }
    }

    private long Now => time.GetTimestamp();

    private TimeSpan ElapsedSince(long then) => time.GetElapsedTime(then);

    private void Tell(string phase, long done, long total, long rate) => show(phase, done, total, rate);
}
