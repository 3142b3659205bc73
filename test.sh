#!/usr/bin/env bash
# Sets up a virtual environment of its own and passes the tests: linters, types, import contracts, then pytest.
set -euo pipefail
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"

[ -x .venv-test/bin/python ] || "$PYTHON" -m venv .venv-test
export PATH="$PWD/.venv-test/bin:$PATH"
python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sim,test]'
# The schedulers of these frameworks alone: what they ask for besides (torchvision, CUDA kernels) is not needed for them.
python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
  timm mmengine addict termcolor yapf platformdirs tomli \
  axolotl llm-foundry megatron-core mosaicml nemo-toolkit torchtitan torchtune ultralytics
make check
make test
