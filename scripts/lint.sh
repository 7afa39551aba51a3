#!/usr/bin/env bash
# clang-tidy over all sources, warnings as errors. With arguments: only over the files that match them.
source "$(dirname "$0")/lib.sh"
install_packages "${build_packages[@]}" "${test_packages[@]}" "${lint_packages[@]}"
# Its own build folder: clang-tidy cannot read another compiler's precompiled headers.
cmake --preset clang -B build/lint -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DRBEE_MERGE=OFF >/dev/null
status=0
run-clang-tidy-14 -quiet -p build/lint "${@:-$root/(src|tests|bench)/}" 2>/dev/null |
  { grep -vE '^(clang-tidy-14 |[0-9]+ warnings)' || true; } || status=$?
exit "$status"
