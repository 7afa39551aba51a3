#!/usr/bin/env bash
# Formats all C++ sources; with --check only says which are not formatted.
source "$(dirname "$0")/lib.sh"
command -v clang-format-14 >/dev/null || fail "clang-format-14 not found" "apt-get install clang-format-14"
mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp')
if [[ "${1:-}" == --check ]]; then
  clang-format-14 --dry-run --Werror "${sources[@]}" || fail "some sources are not formatted" "Run scripts/format.sh"
  echo "${#sources[@]} sources are formatted"
else
  clang-format-14 -i "${sources[@]}"
fi
