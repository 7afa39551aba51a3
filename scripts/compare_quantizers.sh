#!/usr/bin/env bash
# compare_quantizers.sh [--model FILE] [OPTION...]: how the files that this worker's convert and llama-quantize make of a
# model differ: sizes, rounding errors, and the divergence of the next token's distribution. Options go to
# bench/compare_quantizers.py (--help lists them). llama.cpp is built for this processor from its Python package, which
# takes minutes the first time. PEER_PYTHON: a Python that has llama_cpp already; RBEE_BINARY: the worker.
source "$(dirname "$0")/lib.sh"
peer_python build/peer-venv -DGGML_NATIVE=ON
if [[ -z "${RBEE_BINARY:-}" ]]; then
  build release llm-worker-rbee
  RBEE_BINARY=build/release/bin/llm-worker-rbee
fi
[[ " $* " == *" --model"* || " $* " == *" -h"* ]] || scripts/fetch_model.sh >/dev/null
exec "$PEER_PYTHON" bench/compare_quantizers.py --default-model "$default_model" --binary "$RBEE_BINARY" "$@"
