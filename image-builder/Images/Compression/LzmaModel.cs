namespace OsBuild.Images.Compression;

/// <summary>Where the probabilities of LZMA's model lie in one array, and its constants: shared by decoder and encoder.
/// Names are those of the LZMA specification.</summary>
internal static class LzmaModel
{
    public const int States = 12, PosStatesMax = 16, LenToPosStates = 4;
    public const int StartPosModel = 4, EndPosModel = 14, FullDistances = 1 << (EndPosModel / 2);
    public const int AlignBits = 4, MinMatch = 2, MaxMatch = 273;
    public const int LiteralSize = 0x300;
    public const int BitModelTotal = 1 << 11, MoveBits = 5;
    public const uint TopValue = 1 << 24;

    // One block of probabilities after the other.
    public const int IsMatch = 0;
    public const int IsRep = IsMatch + States * PosStatesMax;
    public const int IsRepG0 = IsRep + States;
    public const int IsRepG1 = IsRepG0 + States;
    public const int IsRepG2 = IsRepG1 + States;
    public const int IsRep0Long = IsRepG2 + States;
    public const int PosSlot = IsRep0Long + States * PosStatesMax;
    public const int PosSpecial = PosSlot + LenToPosStates * 64;
    public const int Align = PosSpecial + FullDistances - EndPosModel + 1;
    public const int MatchLength = Align + (1 << AlignBits);
    public const int RepLength = MatchLength + LengthSize;
    public const int Literals = RepLength + LengthSize;

    // Inside a length coder.
    public const int LengthChoice = 0, LengthChoice2 = 1, LengthLow = 2;
    public const int LengthMid = LengthLow + PosStatesMax * 8;
    public const int LengthHigh = LengthMid + PosStatesMax * 8;
    public const int LengthSize = LengthHigh + 256;

    /// <summary>Probabilities needed for a number of literal context bits.</summary>
    public static int Size(int lc, int lp) => Literals + (LiteralSize << (lc + lp));

    /// <summary>The state after a literal.</summary>
    public static int AfterLiteral(int state) => state < 4 ? 0 : state < 10 ? state - 3 : state - 6;

    /// <summary>The state after a match.</summary>
    public static int AfterMatch(int state) => state < 7 ? 7 : 10;

    /// <summary>The state after a repeated match.</summary>
    public static int AfterRep(int state) => state < 7 ? 8 : 11;

    /// <summary>The state after a single repeated byte.</summary>
    public static int AfterShortRep(int state) => state < 7 ? 9 : 11;
}
