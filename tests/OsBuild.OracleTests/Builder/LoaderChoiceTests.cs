using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.BootEnv;
using OsBuild.OracleTests.Images;
using OsBuild.Tests.Builder;

namespace OsBuild.OracleTests.Builder;

/// <summary>Which slot the scripts of GRUB and U-Boot choose. Both languages are close to the shell's: bash runs the builder's own texts, with the loaders'
/// commands as functions. The loaders themselves run them in OsBuild.SystemTests (BoardLoaderTests), in fewer cases.</summary>
public sealed class LoaderChoiceTests
{
    /// <summary>A boot partition before a boot.</summary>
    /// <param name="Slots">The slots that have their own file: "", "a", "b" or "ab".</param>
    /// <param name="Store">slot, upgrade_available and bootcount; null when the store is missing or garbled.</param>
    /// <param name="Bytes">What the store holds when it is garbled; null when it is missing.</param>
    /// <param name="Writable">Whether the loader can write it.</param>
    private sealed record State(string Slots, (string Slot, string Upgrade, string Count)? Store, string? Bytes, bool Writable);

    private static readonly string?[] Garbled = [null, "", "\0\0\0\0", "garbage", "slot=b", "# GRUB Environment Bl", "slot=c\nupgrade_available=2\nbootcount=99\n"];

    private static IEnumerable<State> States()
    {
        foreach (var slots in (string[])["", "a", "b", "ab"])
        {
            foreach (var bytes in Garbled) yield return new(slots, null, bytes, true);
            foreach (var writable in (bool[])[true, false])
                foreach (var slot in (string[])["a", "b", "c"])
                    foreach (var upgrade in (string[])["0", "1", ""])
                        foreach (var count in (string[])["0", "2", "3", "x"])
                            yield return new(slots, (slot, upgrade, count), null, writable);
        }
    }

    /// <summary>The rules, as a device counts on them: the slot that a try in <paramref name="state"/> boots, and what the store says afterwards.</summary>
    private static (string Chosen, string? Stored) Expected(State state, int limit)
    {
        var (slot, upgrade, count) = state.Store ?? ("a", "0", "0");
        if (slot != "b") slot = "a";
        var other = slot == "a" ? "b" : "a";
        string? stored = null;
        if (upgrade == "1")
        {
            var exhausted = int.Parse(count) >= limit;
            if (exhausted) upgrade = "0";
            if (exhausted || !state.Writable) (slot, other) = (other, slot);
            if (state.Writable) stored = $"{slot} {upgrade}";
        }

        return (state.Slots.Contains(slot) ? slot : state.Slots.Contains(other) ? other : "none", stored);
    }

    [Theory]
    [InlineData("up-board")]
    [InlineData("genericx86-64-bios")]
    public void GRUB_chooses_by_the_rules(string name)
    {
        using var fixture = new BoardFixture(BoardCatalog.Find(name).Board!);
        var (script, store) = Script(fixture, "grub.cfg");
        using var folder = new TempFolder();
        File.WriteAllText(folder["grub.cfg"], script);
        Judge.Run("grub-script-check", folder["grub.cfg"]).MustPass("grub-script-check");
        Run(folder, fixture.Board.Slots.Limit, store, "grub.cfg", script.Replace(" /slot-", " $R/slot-", StringComparison.Ordinal), GrubCommands,
            s => GrubEnvironment.Write(new Dictionary<string, string> { ["slot"] = s.Slot, ["upgrade_available"] = s.Upgrade, ["bootcount"] = s.Count }), x => $"chosen={x}\n");
    }

    [Theory]
    [InlineData("rockpro64")]
    [InlineData("odroid-n2")]
    public void U_Boot_chooses_by_the_rules(string name)
    {
        var board = BoardCatalog.Find(name).Board!;
        var store = LoaderFiles.Store(board)!;
        using var folder = new TempFolder();
        Run(folder, board.Slots.Limit, store, "boot.env", UBootScript.Text(board, store), UBootCommands,
            s => System.Text.Encoding.ASCII.GetBytes($"slot={s.Slot}\nupgrade_available={s.Upgrade}\nbootcount={s.Count}\n\n\n"), x => $"bootargs=quiet\nkernel=slot-{x}/Image\n");
    }

    private static (string Script, string Store) Script(BoardFixture fixture, string file)
    {
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        var entry = plan.Boot.Single(b => b.Path.EndsWith("/" + file, StringComparison.Ordinal) && !b.Path.StartsWith("slot-a/", StringComparison.Ordinal));
        return (System.Text.Encoding.UTF8.GetString(((Source.Made)entry.Source).Bytes.Span), LoaderFiles.Store(fixture.Board)!);
    }

    private static void Run(TempFolder folder, int limit, string store, string own, string script, string commands, Func<(string Slot, string Upgrade, string Count), byte[]> write, Func<string, string> ownFile)
    {
        var states = States().ToList();
        for (var i = 0; i < states.Count; i++)
        {
            var (state, top) = (states[i], folder[$"case/{i}"]);
            Directory.CreateDirectory(Path.Combine(top, Path.GetDirectoryName(store)!));
            foreach (var slot in state.Slots)
            {
                Directory.CreateDirectory($"{top}/slot-{slot}");
                File.WriteAllText($"{top}/slot-{slot}/{own}", ownFile($"{slot}"));
                File.WriteAllText($"{top}/slot-{slot}/Image", "kernel");
            }

            if (state.Store is { } sound) File.WriteAllBytes($"{top}/{store}", write(sound));
            else if (state.Bytes is { } bytes) File.WriteAllText($"{top}/{store}", bytes);
            if (!state.Writable) File.WriteAllText($"{top}/readonly", "");
        }

        File.WriteAllText(folder["script"], script);
        File.WriteAllText(folder["commands"], commands);
        File.WriteAllText(folder["run"], $"PATH=/nowhere; cd {folder["case"]}; . {folder["commands"]} || exit; for ((i = 0; i < {states.Count}; i++)); do R=$PWD/$i; printf '%s ' $i; ( . {folder["script"]} ) 2> /dev/null; done\n");
        var lines = Judge.Run("bash", folder["run"]).MustPass("bash").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(states.Count, lines.Length);
        var wrong = new List<string>();
        for (var i = 0; i < states.Count; i++)
        {
            var (state, chosen) = (states[i], lines[i].Split(' ')[1]);
            // Whatever is in the store: a slot that has its file, when there is one.
            if (state.Slots.Length == 0 ? chosen != "none" : !state.Slots.Contains(chosen)) wrong.Add($"{state}: {chosen}");
            // A count that is none is tried or not, and of a garbled store a loader may still read the slot.
            if (state is { Store.Count: "x" } or { Store: null, Bytes: not null }) continue;
            var (slot, stored) = Expected(state, limit);
            if (chosen != slot) wrong.Add($"{state}: {chosen} instead of {slot}");
            if (stored is not null && Stored(folder[$"case/{i}/{store}"]) is var after && after != stored) wrong.Add($"{state}: stored {after} instead of {stored}");
        }

        Assert.Empty(wrong);
    }

    private static string Stored(string path)
    {
        var values = File.ReadAllText(path).Split('\n').Select(l => l.Split('=')).Where(l => l.Length == 2).ToDictionary(l => l[0], l => l[1]);
        return $"{values["slot"]} {values["upgrade_available"]}";
    }

    /// <summary>GRUB's commands (its manual, "Commands"), of builtins alone: the script says reboot, and must find no program of that name.</summary>
    private const string GrubCommands = """
        set() { eval "${1%%=*}='${1#*=}'"; }
        signed() { local line=; IFS= read -r line < "$1"; [ "$line" = '# GRUB Environment Block' ]; }
        load_env() {
          local file=$R${1#--file=} key value; shift
          signed "$file" || return 1
          while IFS='=' read -r key value; do case " $* " in *" $key "*) eval "$key=\$value" ;; esac; done < "$file"
        }
        save_env() {
          local file=$R${1#--file=} name; shift
          signed "$file" && [ ! -e $R/readonly ] || return 1
          { printf '# GRUB Environment Block\n'; for name; do printf '%s=%s\n' "$name" "${!name}"; done; } > "$file"
        }
        source() { [ -f "$1" ] && { IFS='=' read -r _ loaded < "$1"; }; }
        boot() { if [ -n "$loaded" ]; then printf '%s\n' $loaded; exit; fi; }
        sleep() { :; }
        reboot() { printf 'none\n'; exit; }

        """;

    /// <summary>U-Boot's commands (doc/usage/cmd), of builtins alone. env import of named variables deletes those that the text does not have (lib/hashtable.c, himport_r).</summary>
    private const string UBootCommands = """
        devtype=mmc devnum=0 kernel_addr_r=K ramdisk_addr_r=R fdt_addr_r=F fdtcontroladdr=C
        setenv() { local name=$1; shift; eval "$name='$*'"; }
        setexpr() { [ $# = 4 ] || return 1; case $2 in [0-9a-f]) printf -v $1 %x $((0x$2 + 0x$4)) ;; *) printf -v $1 %x $((0x$4)) ;; esac; }
        load() { [ "$1 $2" = 'mmc 0:1' ] && [ -n "$4" ] && [ -f "$R/$4" ] || return 1; memory=$(< "$R/$4"); at=$3 filesize=${#memory}; }
        fatwrite() { [ "$3" = "$at" ] && [ ! -e $R/readonly ] && printf '%s\n' "$memory" > "$R/$4"; }
        env() {
          local what=$1 name key value; [ "$3" = "$at" ] || return 1; shift 3
          case $what in
            import) shift; for name; do unset $name; done
              while IFS='=' read -r key value; do case " $* " in *" $key "*) eval "$key=\$value" ;; esac; done <<< "$memory" ;;
            export) memory=; for name; do [ -z "${!name}" ] || memory="$memory$name=${!name}"$'\n'; done ;;
          esac
        }
        start() { [ "$memory" = kernel ] && { printf '%s\n' $slot; exit; }; }
        booti() { start; }
        bootm() { start; }
        echo() { :; }
        sleep() { :; }
        reset() { printf 'none\n'; exit; }

        """;
}
