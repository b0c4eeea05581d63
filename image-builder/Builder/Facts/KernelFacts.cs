using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Facts;

/// <summary>What a kernel file says of itself.</summary>
/// <param name="Form">How boards name this form (<see cref="KernelType"/>), or null when no board takes it.</param>
/// <param name="FormName">The form in words.</param>
/// <param name="Code">The processor it is for, in the words of refusals (<c>x86-64</c>, <c>64-bit Arm</c>); null when the file does not say.</param>
/// <param name="Version">As <c>uname -r</c> prints it; null when the file does not say.</param>
/// <param name="FullSize">Bytes the file must have at least.</param>
internal sealed record KernelFacts(KernelType? Form, string FormName, string? Code, string? Version, long FullSize);
