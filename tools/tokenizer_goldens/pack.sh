#!/bin/sh
# Packs directories with a vocabulary and its goldens into archives for the tests:
#   pack.sh DIRECTORY...
# writes tests/data/tokenizers/NAME.tar.xz for each, the same bytes each time.
set -eu
target=$(cd "$(dirname "$0")/../../tests/data/tokenizers" && pwd)
for directory in "$@"; do
  name=$(basename "$directory")
  tar --sort=name --mtime=2000-01-01 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -C "$(dirname "$directory")" -ch "$name" | xz -9e > "$target/$name.tar.xz"
  ls -l "$target/$name.tar.xz"
done
