#!/usr/bin/env bash
# Builds the micro-benchmarks and runs them; arguments choose which (matmul, attention, moe); none: all.
source "$(dirname "$0")/lib.sh"
install_packages "${build_packages[@]}" libbenchmark-dev
cmake --preset release -B build/bench -DRBEE_BENCH=ON -DRBEE_TESTS=OFF >/dev/null
cmake --build build/bench
for bench in build/bench/bin/*_bench; do
  name="$(basename "$bench" _bench)"
  [[ $# -eq 0 || " $* " == *" $name "* ]] || continue
  step "$name"
  "$bench"
done
