"""Fuzz the readers: structures by hypothesis, bytes by atheris, so many seconds for each reader and way.

    python fuzz/readers.py [--seconds 20] [--reader NAME ...]

A reader may give points, notes, hints, a checkpoint or a ReadError. What makes one do anything else is written to
tests/readers/crashers/ under the reader's name, where the test suite reads it from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CRASHERS = ROOT / "tests" / "readers" / "crashers"
sys.path.insert(0, str(ROOT / "tests" / "readers"))
SLOW = 10.0  # seconds for one small file: as bad as a crash


class Target:
    """One reader with a file of its own to write inputs to."""

    def __init__(self, name: str, folder: Path) -> None:
        from seeds import seeds

        self.name = name
        self.seed = seeds()[name]
        self.path = folder / self.seed.name

    def __call__(self, content: bytes) -> None:
        """Read `content`; keep it and raise again where the reader fails or takes very long."""
        from lrdoctor.errors import ReadError

        self.path.write_bytes(content)
        start = time.process_time()
        try:
            self.seed.read(str(self.path))
        except ReadError:
            pass
        except Exception:
            self._keep(content)
            raise
        if time.process_time() - start > SLOW:
            self._keep(content)
            raise TimeoutError(f"{self.name} took more than {SLOW:.0f} s")

    def _keep(self, content: bytes) -> None:
        CRASHERS.mkdir(exist_ok=True)
        digest = hashlib.sha256(content).hexdigest()[:12]
        (CRASHERS / f"{self.name}--{digest}").write_bytes(content)


def structures() -> dict[str, Any]:
    """Strategies that make contents with the reader's own structure, by reader."""
    from hypothesis import strategies as st

    names = st.sampled_from(
        ["step", "lr", "loss", "epoch", "learning_rate", "mode", "iter", "log_history", "history", "train", "_type", "", "0"]
    ) | st.text(max_size=8)  # fmt: skip
    numbers = st.floats() | st.integers() | st.integers(-(2**70), 2**70)
    scalars = numbers | st.none() | st.booleans() | st.text(max_size=12) | st.sampled_from(["nan", "1e999", "[1, 2]"])
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=6), max_leaves=30
    )
    rows = st.dictionaries(names, values, max_size=6)
    cells = scalars.map(str) | st.sampled_from(["", '"', "tensor(0.1)", "[0.1, 0.2]", "step", "lr", "1,5", "\r", "\0"])
    tables = st.tuples(st.sampled_from([",", "\t", ";"]), st.lists(st.lists(cells, max_size=6), max_size=12))
    words = st.sampled_from(
        ["lr", "lr:", "loss=", "step", "epoch", "[", "]", "(", ":", "=", "0.1", "1e-4", "\r", "\n", "\x1b[1m", "it/s", "%|", "3/10"]
    ) | st.text(max_size=6)  # fmt: skip
    yaml = st.lists(
        st.sampled_from(["lr", ": ", "\n", "  ", "- ", "&a ", "*a", "!!python/x ", "{", "}", "[", "]", ", ", "1e-4", "? ", "<<", "|\n", "#", "'", '"'])
        | st.text(max_size=4),
        max_size=40,
    ).map("".join)  # fmt: skip
    settings = rows.map(lambda row: json.dumps(row).encode())
    return {
        "json-lines": st.lists(rows, max_size=6).map(lambda found: "\n".join(map(json.dumps, found)).encode()),
        "json-document": values.map(lambda value: json.dumps(value).encode()),
        "trainer-state": st.fixed_dictionaries({"log_history": values, "max_steps": values, "global_step": values}).map(
            lambda state: json.dumps(state).encode()
        ),
        "csv": tables.map(lambda table: "\n".join(table[0].join(row) for row in [["step", "lr"], *table[1]]).encode()),
        "text": st.lists(words, max_size=60).map(lambda parts: " ".join(parts).encode()),
        "settings-yaml": yaml.map(lambda text: text.encode("utf-8", "surrogatepass")),
        "settings-json": settings,
        "tensorboard": st.lists(_events(st), max_size=12).map(b"".join),
        "wandb": st.lists(rows, max_size=6).map(_wandb),
        "checkpoint": _pickles(st).map(lambda code: b"\x80\x02" + code + b"."),
        "training-arguments": _pickles(st).map(lambda code: b"\x80\x02" + code + b"."),
        "pickled-table": _pickles(st).map(lambda code: b"\x80\x04" + code + b"."),
        "safetensors": rows.map(lambda row: struct.pack("<Q", len(json.dumps(row))) + json.dumps(row).encode()),
    }


def _events(st: Any) -> Any:
    """Framed records: events with any scalar or tensor, some of them with bytes that are none."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    from lrdoctor.readers.checksum import masked_crc

    def framed(content: bytes) -> bytes:
        header = struct.pack("<Q", len(content))
        return header + struct.pack("<I", masked_crc(header)) + content + struct.pack("<I", masked_crc(content))

    tensors = st.builds(
        TensorProto,
        dtype=st.integers(0, 25),
        tensor_content=st.binary(max_size=12),
        float_val=st.lists(st.floats(width=32), max_size=2),
        int_val=st.lists(st.integers(-9, 9), max_size=2),
        half_val=st.lists(st.integers(0, 2**16), max_size=2),
    )
    tags = st.sampled_from(["lr", "loss", "_hparams_/session_start_info", ""]) | st.text(max_size=5)
    values = st.builds(Summary.Value, tag=tags, simple_value=st.floats(width=32)) | st.builds(
        Summary.Value, tag=tags, tensor=tensors
    )
    events = st.builds(
        lambda wall, step, found: Event(wall_time=wall, step=step, summary=Summary(value=found)).SerializeToString(),
        st.floats(),
        st.integers(-(2**63), 2**63 - 1),
        st.lists(values, max_size=4),
    )
    repeated = st.builds(lambda content, times: framed(content) * times, events, st.integers(1, 80))
    return repeated | (events | st.binary(max_size=60)).map(framed)


def _wandb(rows: list[dict[str, Any]]) -> bytes:
    def field(number: int, content: bytes) -> bytes:
        head, size = bytearray(), len(content)
        for value in (number << 3 | 2, size):
            while value > 0x7F:
                head.append(value & 0x7F | 0x80)
                value >>= 7
            head.append(value)
        return bytes(head) + content

    content = b":W&B\xbe\xe1\x00"
    for row in rows:
        items = (
            field(1, key.encode("utf-8", "replace")) + field(16, json.dumps(value).encode())
            for key, value in row.items()
        )
        record = field(2, b"".join(field(1, item) for item in items))[:30_000]
        content += struct.pack("<IHB", zlib.crc32(b"\x01" + record), len(record), 1) + record
    return content


def _pickles(st: Any) -> Any:
    """Sequences of instructions, most of them whole, over the names that a checkpoint reader knows."""
    texts = ["state", "param_groups", "step", "lr", "_last_lr", "last_epoch", "milestones", "data", "_mgr", "epoch"]
    classes = [
        ("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"), ("torch", "FloatStorage"), ("numpy", "dtype"),
        ("numpy.core.multiarray", "scalar"), ("numpy.core.multiarray", "_reconstruct"), ("pandas.core.frame", "DataFrame"),
        ("numpy.core.numeric", "_frombuffer"), ("collections", "defaultdict"), ("builtins", "slice"), ("os", "system"),
    ]  # fmt: skip
    plain = st.sampled_from(
        [bytes([opcode]) for opcode in b"(0012N}]):abdelostuRQ\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"]
    )
    named = st.sampled_from(texts).map(lambda word: b"X" + struct.pack("<I", len(word)) + word.encode())
    globals_ = st.sampled_from(classes).map(lambda pair: f"c{pair[0]}\n{pair[1]}\n".encode())
    numbers = st.integers(0, 255).map(lambda number: b"K" + bytes([number])) | st.floats().map(
        lambda value: b"G" + struct.pack(">d", value)
    )
    memo = st.tuples(st.sampled_from(b"qh"), st.integers(0, 9)).map(bytes)
    raw = st.binary(max_size=9).map(lambda data: b"C" + bytes([len(data)]) + data)
    return st.lists(plain | plain | named | globals_ | numbers | memo | raw | st.binary(max_size=3), max_size=60).map(
        b"".join
    )


def by_structure(name: str, seconds: float) -> int:
    """Inputs tried with hypothesis until the time is up; raises what the reader raised, on the smallest input."""
    from hypothesis import HealthCheck, Phase, given, settings

    strategy = structures().get(name)
    if strategy is None:
        return 0
    tried = 0
    with tempfile.TemporaryDirectory() as folder:
        target = Target(name, Path(folder))

        @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                  phases=(Phase.generate, Phase.shrink))  # fmt: skip
        @given(content=strategy)
        def attempt(content: bytes) -> None:
            nonlocal tried
            tried += 1
            target(content)

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            attempt()
    return tried


def by_bytes(name: str, seconds: float) -> None:
    """Bytes mutated under coverage by atheris, from the seed on. Ends the process."""
    import atheris

    with atheris.instrument_imports(include=["lrdoctor"]):
        import seeds

        seeds.seeds()
    folder = Path(tempfile.mkdtemp())
    (folder / "corpus").mkdir()
    target = Target(name, folder)
    (folder / "corpus" / "seed").write_bytes(target.seed.content)
    options = [f"-max_total_time={int(seconds)}", "-timeout=20", "-rss_limit_mb=4096", "-max_len=8192"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(folder / "corpus")], target)
    atheris.Fuzz()


def main() -> int:
    from seeds import seeds

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--reader", action="append", choices=sorted(seeds()))
    parser.add_argument("--only", choices=("structure", "bytes"))
    arguments = parser.parse_args()
    failed = [name for name in arguments.reader or seeds() if not _both_ways(name, arguments.seconds, arguments.only)]
    print(f"failed: {', '.join(failed)}" if failed else "no reader failed")
    return len(failed) > 0


def _both_ways(name: str, seconds: float, only: str | None) -> bool:
    ways: dict[str, Callable[[], bool]] = {
        "structure": lambda: _structure(name, seconds),
        "bytes": lambda: _bytes(name, seconds),
    }
    passed = [way() for chosen, way in ways.items() if only in (None, chosen)]  # both, whatever the first finds
    return all(passed)


def _structure(name: str, seconds: float) -> bool:
    try:
        print(f"{name}: {by_structure(name, seconds):,} structures", flush=True)
    except Exception as error:
        print(f"{name}: FAILED by structure: {type(error).__name__}: {error}", flush=True)
        return False
    return True


def _bytes(name: str, seconds: float) -> bool:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'fuzz')!r}); import readers; readers.by_bytes({name!r}, {seconds})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, errors="replace")
    told = done.stderr.strip().splitlines()
    last = next((line for line in reversed(told) if line.startswith("Done ")), told[-1] if told else "")
    print(f"{name}: {'' if done.returncode == 0 else 'FAILED by '}bytes: {last}", flush=True)
    if done.returncode:
        print(done.stderr[-3000:])
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
