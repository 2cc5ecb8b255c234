#!/usr/bin/env bash
# Runs every fuzz target of the module, each for some seconds: tests/fuzz.sh [DURATION, default 5s]
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-5s}
go=${GO:-go}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | awk '{print $2}'); do
		echo "fuzz: $dir $target"
		if ! "$go" test -tags integration -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$dir" 2>&1 | tee "$log"; then
			# On a busy machine go's fuzzer can take the end of its own time for a failure; then it has no input to show.
			if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then exit 1; fi
		fi
	done
done < <(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -rn1 dirname | sort -u | sed 's|^\./||')
