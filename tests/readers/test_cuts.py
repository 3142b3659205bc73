"""Every reader survives a cut at every byte, and any byte changed: points, notes or ReadError, nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Checkpoint, Hint, Note, Series
from lrdoctor.readers.detect import READERS

pytest.importorskip("torch")


def _seeds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reader_seeds", Path(__file__).with_name("seeds.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["reader_seeds"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEEDS = _seeds().seeds()


def told(name: str, path: Path, content: bytes) -> list[object]:
    """What the reader gives; [] for a ReadError."""
    path.write_bytes(content)
    try:
        found: list[object] = SEEDS[name].read(str(path))
    except ReadError:
        return []
    assert all(isinstance(item, Series | Note | Hint | Checkpoint) for item in found)
    return found


def test_every_log_reader_has_a_seed() -> None:
    read = {seed.read for seed in SEEDS.values()}
    assert len(read) >= len(READERS) + 5
    for reader in READERS:
        assert any(reader.sniff(seed.name, seed.content) or _on_disk(reader, seed) for seed in SEEDS.values()), (
            reader.KIND
        )


def _on_disk(reader: object, seed: object) -> bool:
    """Readers that look at more than the head want the file itself."""
    return getattr(reader, "KIND", "") in {"json", "text", "mlflow-store", "parquet"}


@pytest.mark.parametrize("name", SEEDS)
def test_the_whole_file_is_read(name: str, tmp_path: Path) -> None:
    found = told(name, tmp_path / SEEDS[name].name, SEEDS[name].content)
    assert any(isinstance(item, Series | Hint | Checkpoint) for item in found)


# Cut at every byte beside their other tests, and slow enough to be cut once only.
CUT_ELSEWHERE = {"checkpoint", "checkpoint-legacy", "pickled-table"}


@pytest.mark.parametrize("name", sorted(SEEDS.keys() - CUT_ELSEWHERE))
def test_a_cut_at_every_byte_is_survived(name: str, tmp_path: Path) -> None:
    path, content = tmp_path / SEEDS[name].name, SEEDS[name].content
    for length in range(len(content)):
        told(name, path, content[:length])


CRASHERS = sorted(Path(__file__).with_name("crashers").glob("*--*"))


@pytest.mark.parametrize("crasher", CRASHERS, ids=lambda path: path.name)
def test_what_fuzzing_found_is_survived(crasher: Path, tmp_path: Path) -> None:
    name = crasher.name.split("--")[0]
    told(name, tmp_path / SEEDS[name].name, crasher.read_bytes())


@pytest.mark.parametrize("name", SEEDS)
def test_any_byte_changed_is_survived(name: str, tmp_path: Path) -> None:
    path, content = tmp_path / SEEDS[name].name, SEEDS[name].content
    for place in range(0, len(content), 1 + len(content) // 400):
        told(name, path, content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
