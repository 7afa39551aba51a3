#!/usr/bin/env bash
# test_sanitizer.sh asan|tsan [TEST...]: builds with that sanitizer and runs the suite; under tsan only what has threads.
# With names of test programs (engine_test chat_test): only these.
source "$(dirname "$0")/lib.sh"
preset="${1:-}"
case "$preset" in
  asan) targets=(all) ;;
  tsan) targets=(tsan_tests) ;;
  *) fail "which sanitizer?" "usage: scripts/test_sanitizer.sh asan|tsan [TEST...]" ;;
esac
shift
install_packages "${build_packages[@]}"
if [[ $# -eq 0 ]]; then
  build "$preset" "${targets[@]}"
  exec ctest --preset "$preset"
fi
build "$preset" "$@"
for test in "$@"; do
  "build/$preset/bin/$test" --gtest_brief=1 || fail "$test failed under $preset" "Its report is above."
done
