#!/usr/bin/env bash
# Builds the solution and runs the suites; ends with one line over all of them: `N passed, N failed`.
# usage: test.sh [SUITE]...      without a name: unit, oracle, apps, system
#   unit    fast, no tools                       oracle  outside judges of every format, loop devices
#   apps    the supervisor on a real dockerd     system  the demos and further boots in QEMU
#   engine  apps, with every kind of bad release and a kill at every step (long)
#   boards  other boards' images in QEMU (long)  guests  the flasher inside QEMU guests (long)
#   updates the supervisor replaces itself on a board in QEMU (long)
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd); cd "$top"
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work/results"
[ $# -gt 0 ] || set -- unit oracle apps system
passed=0 failed=0 skipped=0
say() { printf '==> %s (%s)\n' "$*" "$(date +%T)"; }

say "build"
dotnet build OsBuild.sln -c Release -v quiet --nologo || { echo "0 passed, 1 failed"; exit 1; }

case " $* " in
  *" oracle "*|*" engine "*|*" system "*|*" guests "*|*" updates "*) "$here/publish.sh" image-builder:linux-x64 supervisor:linux-x64 flasher:linux-x64 || { echo "0 passed, 1 failed"; exit 1; } ;;
esac

case " $* " in
  *" boards "*) "$here/firmware.sh" || { echo "0 passed, 1 failed"; exit 1; } ;;
esac
case " $* " in
  *" oracle "*) "$here/deploy-dir.sh" qemux86-64 || { echo "0 passed, 1 failed"; exit 1; } ;;
esac

suite() { # NAME PROJECT MINUTES [FILTER...]
  say "$1"
  local log=$work/results/$1.log xml=$work/results/$1.xml
  local options=(-noColor -noLogo -result-xml "$xml" "${@:4}")
  rm -f "$xml"
  timeout --kill-after=30 "${3}m" "tests/$2/bin/Release/net10.0/$2" "${options[@]}" > "$log" 2>&1
  local code=$?
  grep -vE '^ *(Discovering|Discovered|Starting|Finished): ' "$log"
  local totals; totals=$(sed -n 's/.* Total: \([0-9]*\), Errors: \([0-9]*\), Failed: \([0-9]*\), Skipped: \([0-9]*\),.*/\1 \2 \3 \4/p' "$log" | tail -n 1)
  if [ -z "$totals" ]; then echo "$1: no summary (exit $code)"; failed=$((failed + 1)); return; fi
  read -r total errors bad skips <<< "$totals"
  [ $code -ne 0 ] && [ $((errors + bad)) -eq 0 ] && bad=1
  passed=$((passed + total - bad - skips)); failed=$((failed + errors + bad)); skipped=$((skipped + skips))
}

for name; do
  case $name in
    unit) suite unit OsBuild.Tests 15 ;;
    oracle) suite oracle OsBuild.OracleTests 25 -class- '*.Supervisor.*' ;;
    apps) suite apps OsBuild.OracleTests 25 -class '*.Supervisor.*' -trait- length=long -maxThreads 4 ;;
    engine) suite engine OsBuild.OracleTests 90 -class '*.Supervisor.*' -maxThreads 4 -showLiveOutput ;;
    system) suite system OsBuild.SystemTests 40 -class- '*.Nightly.*' ;;
    boards) suite boards OsBuild.SystemTests 90 -class '*.Nightly.Board*' ;;
    guests) suite guests OsBuild.SystemTests 90 -class '*.Nightly.Guest*' ;;
    updates) suite updates OsBuild.SystemTests 60 -class '*.Nightly.Update*' ;;
    *) echo "error: no suite '$name' (unit, oracle, apps, system, engine, boards, guests, updates)" >&2; exit 2 ;;
  esac
done
if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed -eq 0 ]
