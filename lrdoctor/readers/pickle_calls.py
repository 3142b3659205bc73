"""What a few calls inside a pickle would have made, in plain containers; every other call becomes a `Stub`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lrdoctor.readers.lazy_dict import LazyDict
from lrdoctor.readers.skeleton import Global, Storage, Stub, Tensor

Args = tuple[object, ...]
_MAX_DIMENSIONS = 64


def call(function: object, args: Args) -> object:
    """`function(*args)` as a description. Nothing outside this module's table is understood, nothing is executed."""
    if isinstance(function, Global):
        make = _MAKERS.get((function.module, function.name))
        made = make(args) if make else None
        if made is not None:
            return made
    return Stub(function, args)


def _mapping(args: Args) -> object:
    if not args:
        return LazyDict()  # as a model's parameters are kept
    given = args[0]
    if isinstance(given, dict):
        return dict(given)
    if not isinstance(given, list | tuple):
        return None
    made: dict[object, object] = {}
    for pair in given:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str | int):
            return None
        made[pair[0]] = pair[1]
    return made


def _default_mapping(args: Args) -> object:
    return {}


def _list(args: Args) -> object:
    if not args:
        return []
    return list(args[0]) if isinstance(args[0], list | tuple) else None


def _tuple(args: Args) -> object:
    if not args:
        return ()
    return tuple(args[0]) if isinstance(args[0], list | tuple) else None


def _no_bytes(args: Args) -> object:
    return None if args else b""


def _encoded(args: Args) -> object:
    """Protocol 2 writes bytes as text to be encoded."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1", "replace")
    return None


def _new_object(args: Args) -> object:
    return Stub(args[0], args[1:]) if args else None


def _numpy_scalar(args: Args) -> object:
    if len(args) != 2 or not isinstance(args[1], bytes):
        return None
    layout = plain_dtype(args[0])
    if layout is None or layout.itemsize != len(args[1]):
        return None
    value = np.frombuffer(args[1], dtype=layout)[0].item()
    return value if isinstance(value, int | float | bool) else None


def plain_dtype(described: object) -> np.dtype[np.generic] | None:
    """A numpy dtype of real numbers from its description, None for any other."""
    if not isinstance(described, Stub) or described.class_name != "dtype" or not described.args:
        return None
    code = described.args[0]
    if not isinstance(code, str) or code not in _NUMBER_CODES:
        return None
    order = "<"
    if isinstance(described.state, tuple) and len(described.state) > 1 and described.state[1] == ">":
        order = ">"
    return np.dtype(order + code)


def _tensor(args: Args) -> object:
    if len(args) < 3:
        return None
    storage, offset, size = args[:3]
    stride = args[3] if len(args) > 3 else ()
    if not isinstance(offset, int):
        return None
    dtype = next((arg.name for arg in args[4:] if isinstance(arg, Global) and arg.module == "torch"), None)
    return Tensor(storage if isinstance(storage, Storage) else None, offset, _sizes(size), _sizes(stride), dtype)


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_DIMENSIONS:
        return ()
    return tuple([item for item in value if isinstance(item, int)])  # a generator would take twice as long


def _inner_tensor(args: Args) -> object:
    """Parameters and wrappers hold a tensor as their first argument."""
    return args[0] if args and isinstance(args[0], Tensor) else None


_NUMBER_CODES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")
_BUILTINS = ("builtins", "__builtin__")
_MAKERS: dict[tuple[str, str], Callable[[Args], object]] = {
    ("collections", "OrderedDict"): _mapping,
    ("collections", "Counter"): _mapping,
    ("collections", "defaultdict"): _default_mapping,
    ("collections", "deque"): _list,
    **{(module, "dict"): _mapping for module in _BUILTINS},
    **{(module, "list"): _list for module in _BUILTINS},
    **{(module, "set"): _list for module in _BUILTINS},
    **{(module, "frozenset"): _list for module in _BUILTINS},
    **{(module, "tuple"): _tuple for module in _BUILTINS},
    **{(module, "bytes"): _no_bytes for module in _BUILTINS},
    ("torch", "Size"): _tuple,
    ("_codecs", "encode"): _encoded,
    **{(module, name): _new_object for module in ("copyreg", "copy_reg") for name in ("_reconstructor", "__newobj__")},
    **{(module, "scalar"): _numpy_scalar for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    **{("torch._utils", f"_rebuild_tensor{suffix}"): _tensor for suffix in ("", "_v2", "_v3")},
    ("torch._utils", "_rebuild_parameter"): _inner_tensor,
    ("torch._utils", "_rebuild_parameter_with_state"): _inner_tensor,
}
