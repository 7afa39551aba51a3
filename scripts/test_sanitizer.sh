#!/usr/bin/env bash
# test_sanitizer.sh asan|tsan: builds with that sanitizer and runs the suite. Under tsan only what has threads.
source "$(dirname "$0")/lib.sh"
preset="${1:-}"
case "$preset" in
  asan) targets=(all) ;;
  tsan) targets=(tsan_tests) ;;
  *) fail "which sanitizer?" "usage: scripts/test_sanitizer.sh asan|tsan" ;;
esac
install_packages "${build_packages[@]}"
build "$preset" "${targets[@]}"
ctest --preset "$preset"
