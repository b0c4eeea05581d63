using System.Globalization;
using System.Text;

namespace OsBuild.Flasher.Drives;

/// <summary>Names that devices give themselves, made fit to be shown: a stick must not be able to write its own line into the list.</summary>
internal static class Shown
{
    /// <summary>Drops control characters and marks that change the direction of text; joins blanks; trims.</summary>
    public static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            if (category is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned || rune.Value == 0xfffd) continue;
            if (category == UnicodeCategory.SpaceSeparator)
            {
                if (clean.Length > 0 && clean[^1] != ' ') clean.Append(' ');
                continue;
            }

            clean.Append(rune);
        }

        return clean.ToString().TrimEnd();
    }
}
