#!/usr/bin/env bash
# Installs what tests need, builds, and runs everything: format and include rules, sanitizer suites, unit,
# conformance, fuzz corpora and end-to-end tests. Ends with the test runner's summary.
source "$(dirname "$0")/lib.sh"

step "Packages"
install_packages "${build_packages[@]}" "${run_packages[@]}" "${test_packages[@]}"

step "Format and include direction"
scripts/format.sh --check
scripts/check_includes.py
scripts/check_one_definition.py

step "Model and test vocabularies"
scripts/fetch_model.sh
[[ -x scripts/fetch_test_vocabularies.sh ]] && scripts/fetch_test_vocabularies.sh
export RBEE_TEST_VOCABULARIES="${XDG_CACHE_HOME:-$HOME/.cache}/llm-worker-rbee/test-vocabularies"

step "Build (release)"
build release all
scripts/check_kernel_symbols.sh build/release

step "Sanitizer suite: address and undefined behaviour"
scripts/test_sanitizer.sh asan base_test state_test sampling_test quantize_test engine_test chat_test app_test

step "Tests"
ctest --preset release
