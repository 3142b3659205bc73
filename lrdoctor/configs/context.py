"""What a framework's reader knows besides the file: the sizes given by the user, versions, and the files beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lrdoctor.configs.tree import Document
from lrdoctor.configs.versions import Version, nothing_installed
from lrdoctor.model.count import UNKNOWN, Count
from lrdoctor.model.plan import Batch


@dataclass(frozen=True, slots=True)
class Sizes:
    """What configs rarely hold: examples in the training set, processes, optimizer updates per epoch."""

    dataset: Count | None = None
    world: Count | None = None
    updates_per_epoch: Count | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """`version(package)` is the version the project pins; `load(path)` another file, parsed, or None."""

    sizes: Sizes = Sizes()
    version: Callable[[str], Version | None] = nothing_installed
    load: Callable[[Path], Document | None] | None = None

    def companion(self, document: Document, name: str) -> Document | None:
        """The file that `document` names, relative to its folder; None where it cannot be read."""
        return None if self.load is None else self.load(Path(document.path).parent / name)

    def world(self, configured: float | None = None) -> Count:
        """How many processes train: as given, else as configured, else anything from one up."""
        if self.sizes.world is not None:
            return self.sizes.world
        return Count.exactly(configured) if configured else UNKNOWN

    def updates_per_epoch(self, batch: Batch, dataset: Count | None = None, *, last_part: bool = True) -> Count:
        """ceil(examples / batch) unless updates per epoch are given; `last_part` False drops what does not fill one.

        The loader's length is rounded first, per process, and then the accumulation, as the trainers do.
        """
        if self.sizes.updates_per_epoch is not None:
            return self.sizes.updates_per_epoch
        examples = self.sizes.dataset or dataset or UNKNOWN
        if batch.whole is not None or batch.per_device is None:
            return examples.over(batch.total)
        batches = examples.over(batch.world.times(batch.per_device.value))
        accumulation = batch.accumulation.value if batch.accumulation is not None else 1.0
        return batches.over(accumulation, up=last_part)

    def remarks(self, *, world: bool = True, dataset: bool = True) -> list[tuple[str, str]]:
        """What was assumed about the sizes a plan depends on."""
        told = []
        if world:
            told.append(("world_size", str(self.sizes.world) if self.sizes.world else "unknown"))
        if dataset and self.sizes.updates_per_epoch is not None:
            told.append(("updates_per_epoch", str(self.sizes.updates_per_epoch)))
        elif dataset:
            told.append(("dataset_size", str(self.sizes.dataset) if self.sizes.dataset else "unknown"))
        return told
