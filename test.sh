#!/usr/bin/env bash
# Sets up a virtual environment of its own and passes the tests: linters, types, import contracts, then pytest.
set -euo pipefail
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"

[ -x .venv-test/bin/python ] || "$PYTHON" -m venv .venv-test
export PATH="$PWD/.venv-test/bin:$PATH"
python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sim,test]'
# timm's and mmengine's schedulers alone: what the two ask for besides (torchvision, opencv) is not needed for them.
python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
  timm mmengine addict termcolor yapf platformdirs tomli
make check
make test
