#!/usr/bin/env bash
# Sets up a virtual environment of its own, audits the bundled runs and leaves a report to open.
set -euo pipefail
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '.[sim]'
.venv/bin/lrdoctor audit fixtures/runs --fail-on never
