#!/usr/bin/env bash
# test_sanitizer.sh asan|tsan [LABEL]: builds with that sanitizer and runs the suite, or what of it has a label that LABEL
# matches (unit, conformance, ...); under tsan only what has threads.
source "$(dirname "$0")/lib.sh"
preset="${1:-}"
case "$preset" in
  asan) target=all ;;
  tsan) target=tsan_tests ;;
  *) fail "which sanitizer?" "usage: scripts/test_sanitizer.sh asan|tsan [LABEL]" ;;
esac
install_packages "${build_packages[@]}"
build "$preset" "$target"
exec ctest --preset "$preset" ${2:+--label-regex "$2"}
