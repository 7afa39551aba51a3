#!/usr/bin/env bash
# Fetches vocabularies that the tests compare with but whose licences do not let us ship them: they come in the source
# package of llama-cpp-python on the Python package index. Prints the directory for RBEE_TEST_VOCABULARIES. Running it
# again only verifies.
set -euo pipefail

target="${XDG_CACHE_HOME:-$HOME/.cache}/llm-worker-rbee/test-vocabularies"
mkdir -p "$target"
cd "$target"

expected() {
  cat <<'SUMS'
97272e430d53bc7688f52d5e0ad8ea8f163ede9f1bbd1694feaa504797d5d96e  ggml-vocab-llama-bpe.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-llama-bpe.gguf.inp
118abf2034a197fc5c9dec5204dfdeee7004c7c70952ae577f66b99e212fab9b  ggml-vocab-llama-bpe.gguf.out
16c3724582d59aa8bf84711894e833f916ee46a31d80e21312759c48bf8d0e69  ggml-vocab-llama-spm.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-llama-spm.gguf.inp
ad6905c925c49c022974fe67e030382e8a4f56eb4489a0b9481dcedb1ec73b29  ggml-vocab-llama-spm.gguf.out
44c2f46b715f585c6ab513970e8a006bfa5badd6108560054921cf598d154d8c  ggml-vocab-qwen2.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-qwen2.gguf.inp
de785bb305cc6fa9d43908ed5da337f853c0b79e971348fcfb9f0915a39c5363  ggml-vocab-qwen2.gguf.out
fedb892b4e1bd3c1f2fcdae356440b14fb458f4264d586e5c987ed93df4e174d  ggml-vocab-starcoder.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-starcoder.gguf.inp
3ef12183c57ad076f9defd8e5eb454f509f5f0865cad35646abb4c4b2d2c5764  ggml-vocab-starcoder.gguf.out
59dc382612866d1fc6c11ea531318d327598f3412d9c8f8600607cdf3030898f  ggml-vocab-mpt.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-mpt.gguf.inp
9d0982a7e7950b81bc2e325fb61bb7e295d2238934ab889737494de2dc4d906b  ggml-vocab-mpt.gguf.out
867f77537b54565f0d81d508c04edc41aa1d4ffc1a92745f225b4c1b02755f76  ggml-vocab-deepseek-llm.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-deepseek-llm.gguf.inp
87cfc1a8a9a7ef25d04d28c26a67b6a620af7be938c9bd0feeb4d319b9302832  ggml-vocab-deepseek-llm.gguf.out
91cb1379f2e33af1c4866b194622b7a0e12e8f0c9dba7ba2f10d55978730bec1  ggml-vocab-deepseek-coder.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-deepseek-coder.gguf.inp
c2cea4584b0487e67fbd81f491bb44f89238722062126120d2c412edb3dbd853  ggml-vocab-deepseek-coder.gguf.out
967d7190d11c4842eab697079d98d56c2116e10eb617be355a2733bfc132e326  ggml-vocab-phi-3.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-phi-3.gguf.inp
ad6905c925c49c022974fe67e030382e8a4f56eb4489a0b9481dcedb1ec73b29  ggml-vocab-phi-3.gguf.out
ac3ceda902fed91ccf74312b305d9b86c37e4f8e35fa9cc6ef3ce34fca7d4678  ggml-vocab-refact.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-refact.gguf.inp
c7e5c1c5dc1dfd3e0d56576bf699d2aca0b760b80779523ea9d323aad6cd1b88  ggml-vocab-refact.gguf.out
a2f8cfea952ef7c391a6d92a1c309d0bd32e36384d9b9230569a7425732f27d9  ggml-vocab-command-r.gguf
be0a11f7071f0c67d3053a2d377d8f35f0dbcb77ff11a60300fb57d36b477cf0  ggml-vocab-command-r.gguf.inp
d2a601336e422b60a264858c01b14c5d37575fe1f9adfcafc2f3b3707903903f  ggml-vocab-command-r.gguf.out
63ed952ff338996cf0bdf24a7b10015124273f75c6dc9bb427356aa3f67ec62c  ggml-vocab-qwen35.gguf
0fc6547e7876cd5b2ef64a9d319c6e39040eb53986660bd4227ed7ddef017a94  ggml-vocab-qwen35.gguf.inp
5efe225820325303857d0a087a8d59216f0d1e9a9e31133e7a5b44c3c4e1e9ca  ggml-vocab-qwen35.gguf.out
SUMS
}

if expected | sha256sum --check --status 2>/dev/null; then
  echo "$target"
  exit 0
fi

TARGET="$target" python3 - <<'PY' >&2
import hashlib, html.parser, os, pathlib, subprocess, sys, tarfile, urllib.parse, urllib.request

PACKAGE, SDIST = "llama-cpp-python", "llama_cpp_python-0.3.36.tar.gz"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
FOLDER = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/"
NAMES = "llama-bpe llama-spm qwen2 starcoder mpt deepseek-llm deepseek-coder phi-3 refact command-r qwen35".split()


def index():
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    found = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 and found.stdout.strip() else "https://pypi.org/simple"


class Links(html.parser.HTMLParser):
    url = None

    def handle_starttag(self, tag, attributes):
        link = dict(attributes).get("href", "")
        if tag == "a" and urllib.parse.urlsplit(link).path.endswith("/" + SDIST):
            self.url = urllib.parse.urldefrag(urllib.parse.urljoin(page, link)).url


target = pathlib.Path(os.environ["TARGET"])
archive = target / SDIST
if not archive.exists() or hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
    page = index().rstrip("/") + "/" + PACKAGE + "/"
    request = urllib.request.Request(page, headers={"Accept": "text/html"})
    links = Links()
    links.feed(urllib.request.urlopen(request, timeout=60).read().decode())
    if links.url is None:
        sys.exit(f"error: the package index does not list {SDIST}")
    print(f"downloading {SDIST} (73 MiB)")
    with urllib.request.urlopen(links.url, timeout=60) as reply, open(archive, "wb") as out:
        while chunk := reply.read(1 << 20):
            out.write(chunk)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        archive.unlink()
        sys.exit("error: the download is not the published file (SHA-256 differs); it was deleted. Run this again.")
wanted = {f"{FOLDER}ggml-vocab-{name}.gguf{end}" for name in NAMES for end in ("", ".inp", ".out")}
with tarfile.open(archive) as files:
    for member in files:
        if member.name in wanted and member.isfile():
            (target / pathlib.Path(member.name).name).write_bytes(files.extractfile(member).read())
archive.unlink()
PY

expected | sha256sum --check --quiet >&2 || {
  echo "error: a vocabulary is not the expected file; delete $target and run this again" >&2
  exit 1
}
echo "$target"
