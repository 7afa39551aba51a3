#!/usr/bin/env bash
# Runs the end-to-end tests with pytest; arguments go to pytest. RBEE_BINARY: the program to test.
source "$(dirname "$0")/lib.sh"
venv=build/e2e-venv
if [[ ! -x $venv/bin/pytest ]] || ! cmp -s tests/e2e/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv "$venv" || fail "cannot make a Python environment" "apt-get install python3-venv"
  "$venv/bin/pip" install -q -r tests/e2e/requirements.txt ||
    fail "pip install failed" "Check the network or PIP_INDEX_URL, then run this again."
  cp tests/e2e/requirements.txt "$venv/requirements.txt"
fi
scripts/fetch_model.sh >/dev/null
export PYTHONDONTWRITEBYTECODE=1
exec "$venv/bin/pytest" -q -p no:cacheprovider tests/e2e "$@"
