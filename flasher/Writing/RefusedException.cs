namespace OsBuild.Flasher.Writing;

/// <summary>Something was refused before the first byte was written. The message says what, why and what to do.</summary>
internal sealed class RefusedException(string message) : Exception(message);
