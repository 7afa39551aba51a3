# Shared by the scripts here; sourced, not run.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

# fail MESSAGE WHAT-TO-DO
fail() {
  printf 'error: %s\n  %s\n' "$1" "${2:-}" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "installing packages needs root" "Run as root, or install sudo; or install these yourself: ${missing[*]}"
  fi
}

# install_packages NAME...: installs the Debian packages that are missing; quiet and quick when none is.
install_packages() {
  missing=()
  local package
  for package in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    echo "all packages are there"
    return
  fi
  echo "installing: ${missing[*]}"
  command -v apt-get >/dev/null ||
    fail "apt-get not found" "This script is for Debian 12; elsewhere install what docs/dependencies.md lists, then run it again."
  as_root apt-get update -q >/dev/null ||
    fail "apt-get update failed" "Check the network and the package sources in /etc/apt, then run this again."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" |
    grep --line-buffered '^Setting up' || true
  for package in "${missing[@]}"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] ||
      fail "package $package could not be installed" "Run 'apt-get install $package' to see why."
  done
}

# What building needs, and what a first run needs on top. docs/dependencies.md says what each is for.
build_packages=(
  g++ cmake ninja-build pkg-config ca-certificates
  libboost-dev libssl-dev libcurl4-openssl-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev
  libspdlog-dev libfmt-dev libpcre2-dev libutf8proc-dev libedit-dev libgtest-dev libgmock-dev
)
run_packages=(curl unzip python3 python3-pip jq)
test_packages=(clang-14 clang-format-14 libclang-rt-14-dev python3-venv xz-utils libbenchmark-dev)
lint_packages=(clang-tidy-14)

# build PRESET TARGET...: configures when that was never done and builds.
build() {
  local preset=$1
  shift
  if [[ ! -f build/$preset/build.ninja ]]; then
    cmake --preset "$preset" >"build-$preset.log" 2>&1 || {
      tail -n 20 "build-$preset.log" >&2
      fail "configuring the $preset build failed" "The lines above say what is missing; build-$preset.log has all of them."
    }
    rm -f "build-$preset.log"
  fi
  cmake --build --preset "$preset" --target "$@" ||
    fail "the $preset build failed" "The compiler's messages are above. Out of memory? Try CMAKE_BUILD_PARALLEL_LEVEL=1."
}

# peer_python VENV CMAKE-FLAGS: sets PEER_PYTHON, where it is unset, to a Python with llama.cpp, built when it is not there.
peer_python() {
  local version=0.3.36 venv=$1 flags=$2
  [[ -z "${PEER_PYTHON:-}" ]] || return 0
  PEER_PYTHON=$venv/bin/python
  "$PEER_PYTHON" -c "import llama_cpp, sys; sys.exit(llama_cpp.__version__ != '$version')" 2>/dev/null && return
  step "Building llama.cpp (llama-cpp-python $version)"
  install_packages g++ cmake ninja-build python3-dev python3-venv
  python3 -m venv "$venv" || fail "cannot make a Python environment" "apt-get install python3-venv"
  CMAKE_ARGS="$flags" "$venv/bin/pip" install -q --no-binary llama-cpp-python "llama-cpp-python==$version" ||
    fail "building llama.cpp failed" "pip's messages are above; check the network or PIP_INDEX_URL."
}

default_model="${XDG_CACHE_HOME:-$HOME/.cache}/llm-worker-rbee/models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf"
