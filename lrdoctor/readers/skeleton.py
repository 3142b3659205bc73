"""What a pickle describes, without building it: inert stand-ins for every class, object and tensor it names."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function the pickle names. It is never looked up, imported or called."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Stub:
    """An object of a class that is not rebuilt: what would have been passed to it, in plain containers.

    `args` and `kwargs` are the call's, `state` what `__setstate__` or `__dict__` would get, `items` what would be
    appended, `pairs` what would be set by key.
    """

    of: object
    args: tuple[object, ...] = ()
    kwargs: dict[object, object] = field(default_factory=dict)
    state: object = None
    items: list[object] = field(default_factory=list)
    pairs: dict[object, object] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The name of the class or function, without its module; empty where the pickle computes it."""
        return self.of.name if isinstance(self.of, Global) else ""


@dataclass(slots=True, eq=False)  # not frozen: thousands are made per checkpoint, and freezing doubles their cost
class Storage:
    """The raw bytes behind tensors: element type ("FloatStorage"), the key they are filed under, length in elements."""

    type: str
    key: str
    count: int


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor's description; `offset` and `stride` are in elements of `storage`, None where that is not plain."""

    storage: Storage | None
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes or a number too long to be worth keeping; `length` in bytes."""

    length: int
