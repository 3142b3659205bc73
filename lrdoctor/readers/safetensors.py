"""A .safetensors file: weights and nothing else. Only its header is read."""

from __future__ import annotations

import json
import struct

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Checkpoint, Note
from lrdoctor.readers.storage import window


def looks_like_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then a JSON object."""
    return len(head) >= 9 and head[8:9] == b"{"


def read_safetensors(path: str) -> Checkpoint:
    """Model weights only. `ReadError` where the header cannot be read."""
    try:
        with window(path) as data:
            size = len(data)
            length = struct.unpack("<Q", data[:8])[0] if size >= 8 else 0
            if length > limits().header_bytes:
                why = f"its header claims {length:,} bytes ({raised_by('header_bytes')})"
                raise ReadError("The weights cannot be read.", where=path, why=why)
            header = data[8 : 8 + length]
        names = json.loads(header)
    except OSError as error:
        raise ReadError("The checkpoint cannot be opened.", where=path, why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        why = "its header is incomplete or malformed"
        raise ReadError("The weights cannot be read.", where=path, why=why) from error
    if not isinstance(names, dict):
        raise ReadError("The weights cannot be read.", where=path, why="its header is no JSON object")
    notes = (Note(path, "truncated: the weights are incomplete"),) if size < 8 + length + _data_bytes(names) else ()
    tensors = [name for name in names if name != "__metadata__"]
    return Checkpoint(path, "safetensors", model=bool(tensors), optimizer=None, schedulers=(), notes=notes)


def _data_bytes(names: dict[str, object]) -> int:
    ends = [0]
    for described in names.values():
        offsets = described.get("data_offsets") if isinstance(described, dict) else None
        if isinstance(offsets, list) and len(offsets) == 2 and isinstance(offsets[1], int):
            ends.append(offsets[1])
    return max(ends)
