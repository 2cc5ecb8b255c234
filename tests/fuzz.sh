#!/usr/bin/env bash
# Runs every fuzz target of the module, each for some seconds: tests/fuzz.sh [DURATION, default 5s]
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-5s}
go=${GO:-go}

while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | awk '{print $2}'); do
		echo "fuzz: $dir $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$dir"
	done
done < <(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -rn1 dirname | sort -u | sed 's|^\./||')
