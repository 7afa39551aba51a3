#!/usr/bin/env bash
# check_round_trips.sh [FIXTURE...] [OPTION...]: converts the fixtures to GGUF and compares what llama.cpp and this worker
# make of the files (bench/round_trips.py says how; --help lists the options). llama.cpp is built for this processor
# from its Python package, which takes minutes the first time. PEER_PYTHON: a Python that has llama_cpp already;
# RBEE_BINARY: the worker.
source "$(dirname "$0")/lib.sh"
peer_python build/peer-venv -DGGML_NATIVE=ON
if [[ -z "${RBEE_BINARY:-}" ]]; then
  build release llm-worker-rbee
  RBEE_BINARY=build/release/bin/llm-worker-rbee
fi
exec "$PEER_PYTHON" bench/round_trips.py --binary "$RBEE_BINARY" "$@"
