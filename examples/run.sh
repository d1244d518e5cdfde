#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Starts a registry and the examples, shows what they do, has one of them killed, and ends everything it has started.
# Build first: `./dev build`. Other places: MUSTER_BIN (the program), EXAMPLES (the folder of the examples).

set -euo pipefail

root=$(dirname "$(readlink -f "$0")")/..
muster=${MUSTER_BIN:-$root/build/muster}
examples=${EXAMPLES:-$root/build/release/examples}
folder=$(mktemp -d "${TMPDIR:-/tmp}/muster-examples.XXXXXX")
pids=()

# The services first, while the registry is there to hear of it.
end() {
    local pid
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        pid=${pids[i]}
        kill -TERM "$pid" 2>/dev/null || continue
        wait "$pid" || true
    done
    rm -rf "$folder"
}
trap end EXIT

start() {
    "$@" &
    pids+=($!)
}

say() {
    printf '\n== %s\n' "$*"
}

call() {
    "$examples/example_caller" "$@"
}

export MUSTER_ADDR=unix:$folder/muster.sock

say "a registry, a log, a counter of visits that needs the log, three that can add"
start "$muster" serve --data "$folder/data" --listen "$MUSTER_ADDR" --gateway 127.0.0.1:0 2>"$folder/muster.log"
start "$examples/example_visits"
start "$examples/example_log"
for _ in 1 2 3; do
    start "$examples/example_sums"
done

say "one of the three adds, each time the next"
call call sums sum '[1, 2, 3]' 3

say "all of them sleep, at the same time"
call all sums sleep '{"ms": 100}' 3

say "visits are counted, and logged by another service"
for name in Ada Grace Ada; do
    call call visits visit "{\"name\": \"$name\"}"
done
call call log last '{"n": 2}'

say "a wrong question gets an answer in words"
call call visits visit '[]' || true

say "one that can add is killed while it is asked: the caller does not notice"
coproc repeat { exec "$examples/example_caller" repeat sums sum '[20, 22]' 3; }
repeat_pid=$repeat_PID
read -r line <&"${repeat[0]}"
echo "$line"
kill -KILL "${pids[3]}"
wait "${pids[3]}" 2>/dev/null || true
for _ in 1 2 3 4 5; do
    read -r line <&"${repeat[0]}"
done
echo "$line"
exec {repeat[1]}>&-
wait "$repeat_pid"
call all sums sum '[20, 22]' 2

say "all end: each leaves the registry before it stops"
