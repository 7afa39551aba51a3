#!/usr/bin/env bash
# Runs llama.cpp and this worker in turns on the same model and prints the speed of both.
# Arguments go to bench/compare_llama_cpp.py (--help lists them). llama.cpp is built for this processor from its Python
# package, which takes minutes the first time. PEER_PYTHON: a Python that has llama_cpp already; RBEE_BINARY: the worker.
source "$(dirname "$0")/lib.sh"
compare=(bench/compare_llama_cpp.py --default-model "$default_model" --binary)
[[ " $* " == *" --help "* || " $* " == *" -h "* ]] && exec python3 "${compare[@]}" "" --help
version=0.3.36
if [[ -z "${PEER_PYTHON:-}" ]]; then
  venv=build/peer-venv
  PEER_PYTHON=$venv/bin/python
  if ! "$PEER_PYTHON" -c "import llama_cpp, sys; sys.exit(llama_cpp.__version__ != '$version')" 2>/dev/null; then
    step "Building llama.cpp (llama-cpp-python $version) for this processor"
    install_packages g++ cmake ninja-build python3-dev python3-venv
    python3 -m venv "$venv" || fail "cannot make a Python environment" "apt-get install python3-venv"
    CMAKE_ARGS="-DGGML_NATIVE=ON" "$venv/bin/pip" install -q --no-binary llama-cpp-python "llama-cpp-python==$version" ||
      fail "building llama.cpp failed" "pip's messages are above; check the network or PIP_INDEX_URL."
  fi
fi
if [[ -z "${RBEE_BINARY:-}" ]]; then
  build release llm-worker-rbee
  RBEE_BINARY=build/release/bin/llm-worker-rbee
fi
[[ " $* " == *" --model"* ]] || scripts/fetch_model.sh >/dev/null
exec "$PEER_PYTHON" "${compare[@]}" "$RBEE_BINARY" "$@"
