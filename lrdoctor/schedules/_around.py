"""What a schedule around another one takes over from it."""

from __future__ import annotations

from abc import abstractmethod

from lrdoctor.model.schedule import Schedule


class Around(Schedule):
    """A schedule that changes when or how another is in force: the family, peak LR and parameters are that one's."""

    __slots__ = ()

    @property
    @abstractmethod
    def inner(self) -> Schedule:
        """The schedule inside."""

    @property
    def family(self) -> str:  # type: ignore[override]  # the inner schedule's family, which is only known per instance
        return self.inner.family

    @property
    def peak_lr(self) -> float:
        return self.inner.peak_lr

    @property
    def horizon(self) -> float | None:
        return self.inner.horizon

    def params(self) -> dict[str, object]:
        return self.inner.params()

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return self.inner.torch_code(optimizer)
