"""What an earlier audit noted of files, and by what a file is known to be as it was then."""

from __future__ import annotations

import os
import time
from typing import Any, Protocol

_SETTLED = 2.0  # seconds: file systems with the coarsest clocks write times to two


class Notes(Protocol):
    """JSON values by kind and path, kept from one audit to the next as long as lrdoctor itself stays the same."""

    def noted(self, kind: str, path: str) -> Any:
        """What was noted; None where nothing was."""
        ...

    def note(self, kind: str, path: str, told: Any) -> None:
        """Note `told` in place of what was noted before."""
        ...


def state_of(status: os.stat_result) -> str:
    """Differs as soon as a local file was written to, replaced, or given other rights or times."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_dev} {status.st_ino}"


def is_settled(status: os.stat_result) -> bool:
    """Whether a file that is written again will have another state: not within one tick of the clock."""
    return time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED
