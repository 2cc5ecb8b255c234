#!/usr/bin/env bash
# Runs every fuzz target of the module, each for a time or for a number of tries: tests/fuzz.sh [5s | 2000x, default 5s]
# In a short time a target that has to start a server, or has many seeds, may not come to try anything new.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:-5s}
go=${GO:-go}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | awk '{print $2}'); do
		echo "fuzz: $dir $target"
		if ! "$go" test -tags integration -run '^$' -fuzz "^$target\$" -fuzztime "$each" "./$dir" 2>&1 | tee "$log"; then
			# On a busy machine go's fuzzer can take the end of its own time for a failure; then it has no input to show.
			if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then exit 1; fi
		fi
	done
done < <(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -rn1 dirname | sort -u | sed 's|^\./||')
