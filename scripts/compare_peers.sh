#!/usr/bin/env bash
# compare_peers.sh [--avx2] [--suite | --model FILE...] [OPTION...]: runs llama.cpp and this worker in turns on the same
# files and prints the speed of both. Other options go to bench/compare_peers.py (--help lists them).
# --suite: the default model and random weights in the shape of Llama 3.2 1B and of a mixture of experts, in many types;
# they take 10 GB in build/bench-models. --avx2: both engines without AVX-512. llama.cpp is built for this processor from
# its Python package, which takes minutes the first time. PEER_PYTHON: a Python that has llama_cpp already;
# RBEE_BINARY: the worker.
source "$(dirname "$0")/lib.sh"
native_flags=-DGGML_NATIVE=ON
avx2_flags='-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON'

suite='' avx2='' options=() models=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --suite) suite=1 ;;
    --avx2) avx2=1 ;;
    --model) models+=("$2") && shift ;;
    -h | --help) exec python3 bench/compare_peers.py --binary '' --help ;;
    *) options+=("$1") ;;
  esac
  shift
done
[[ -z $avx2 ]] || options+=(--cpu-isa avx2)

peer_python "build/peer-venv${avx2:+-avx2}" "$([[ -n $avx2 ]] && echo "$avx2_flags" || echo "$native_flags")"
if [[ -z "${RBEE_BINARY:-}" ]]; then
  build release llm-worker-rbee
  RBEE_BINARY=build/release/bin/llm-worker-rbee
fi

# random_model SHAPE TYPE: makes the file once.
random_model() {
  local shape=$1 type=$2 folder=build/bench-models
  mkdir -p "$folder"
  models+=("$folder/$shape.$type.gguf")
  [[ -f "$folder/$shape.$type.gguf" ]] && return
  [[ -f "$folder/$shape.bf16.gguf" ]] ||
    { "$PEER_PYTHON" bench/random_model.py "$shape" "$folder/new.gguf" && mv "$folder/new.gguf" "$folder/$shape.bf16.gguf"; } ||
    fail "making $folder/$shape.bf16.gguf failed" "Is the disk full?"
  [[ $type == bf16 ]] || "$RBEE_BINARY" convert "$folder/$shape.bf16.gguf" "$folder/$shape.$type.gguf" --type "$type" ||
    fail "making $folder/$shape.$type.gguf failed" "Is the disk full?"
}

if [[ -n $suite ]]; then
  scripts/fetch_model.sh >/dev/null
  models+=("$default_model")
  for type in q4_0 q4_k_m q5_k_m q6_k q8_0 bf16 f16; do random_model llama-3.2-1b "$type"; done
  for type in q4_k_m mxfp4_moe; do random_model moe-8-of-64 "$type"; done
elif [[ ${#models[@]} -eq 0 ]]; then
  scripts/fetch_model.sh >/dev/null
  models+=("$default_model")
fi
exec "$PEER_PYTHON" bench/compare_peers.py --binary "$RBEE_BINARY" "${models[@]/#/--model=}" "${options[@]}"
