# Sourced by the benches: measure NAME COMMAND... runs a command $runs times and keeps median wall, CPU and peak memory by name.
runs=${OSBUILD_RUNS:-5}
declare -A wall=() cpu=() rss=()
measure() {
  local name=$1 i log=$scratch/measure.log; shift
  : > "$log"
  for i in $(seq "$runs"); do
    if [ -n "${before:-}" ]; then eval "$before"; fi
    /usr/bin/time -f '%e %U %S %M' -a -o "$log" "$@" > "$scratch/$name.out" 2>&1 || { echo "  $name failed:"; tail -n 5 "$scratch/$name.out"; wall[$name]=0 cpu[$name]=0 rss[$name]=0; return 0; }
  done
  local median busy most; read -r median busy most < <(awk '{ w[NR] = $1; c[NR] = $2 + $3; if ($4 > m) m = $4 }
    END { n = asort_(w); asort_(c); print w[int((n + 1) / 2)], c[int((n + 1) / 2)], m / 1024 }
    function asort_(a,  i, j, t, n) { n = length(a); for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j] < a[j - 1]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t } return n }' "$log")
  wall[$name]=$median cpu[$name]=$busy rss[$name]=$most
  printf '  %-44s %7.2f s wall  %7.2f s CPU  %6.0f MiB\n' "$name" "${wall[$name]}" "${cpu[$name]}" "${rss[$name]}"
}
ratio() { # LABEL A B GOAL
  awk -v l="$1" -v a="$2" -v b="$3" -v g="$4" 'BEGIN { if (b > 0) printf "  %-58s %6.2f   (goal %s)\n", l, a / b, g }'
}
