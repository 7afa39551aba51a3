#!/usr/bin/env bash
# fuzz.sh NAME [SECONDS]: builds and runs one libFuzzer target on its corpus; NAME as in tests/fuzz/NAME_fuzz.cpp.
# New inputs are kept in build/fuzz/corpus/NAME; a finding is written to build/fuzz/findings and fails the run.
source "$(dirname "$0")/lib.sh"
name="${1:-}"
seconds="${2:-60}"
[[ -f tests/fuzz/${name}_fuzz.cpp ]] ||
  fail "which target?" "usage: scripts/fuzz.sh NAME [SECONDS]; names: $(cd tests/fuzz && ls ./*_fuzz.cpp | sed 's|./||; s|_fuzz.cpp||' | tr '\n' ' ')"
install_packages "${build_packages[@]}" "${test_packages[@]}"
build fuzz "${name}_fuzz"
mkdir -p "build/fuzz/corpus/$name" build/fuzz/findings
exec "build/fuzz/bin/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
  -print_final_stats=1 -artifact_prefix=build/fuzz/findings/ "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
