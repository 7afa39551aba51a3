#!/bin/sh
# Checks the objects of the CPU kernels in a build folder (default: build/release):
#  - no weak symbols, which the linker could replace by code of another instruction set;
#  - in an optimised build, no AVX-512 accumulator of a matrix product lives on the stack.
set -eu
build=${1:-build/release}
found=0
status=0
for isa in base avx2 avx512; do
  for object in $(find "$build" -path "*rbee_cpu_kernels_$isa.dir/*_kernels.cpp.o"); do
    found=$((found + 1))
    if nm -C "$object" | grep -E ' [WVu] '; then
      echo "weak symbols in $object" >&2
      status=1
    fi
  done
done
if [ "$found" -eq 0 ]; then
  echo "no kernel objects under $build" >&2
  exit 1
fi
if grep -qE '^CMAKE_BUILD_TYPE:[A-Z]*=Release' "$build/CMakeCache.txt"; then
  for object in $(find "$build" -path "*rbee_cpu_kernels_avx512.dir/matmul_*_kernels.cpp.o"); do
    if objdump -d --no-show-raw-insn -C "$object" |
      awk '/^[0-9a-f]+ </ { name = $0 } /zmm.*\(%r[sb]p\)|\(%r[sb]p[^)]*\).*zmm/ { print name; print; bad = 1 }
           END { exit !bad }'; then
      echo "vectors on the stack in $object" >&2
      status=1
    fi
  done
fi
exit $status
