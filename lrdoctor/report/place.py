"""Where a finding is shown: a file of the run, relative to the working folder where it lies below it."""

from __future__ import annotations

import os
from pathlib import Path

from lrdoctor.model.diagnosis import Diagnosis


def file_of(diagnosis: Diagnosis) -> str:
    """The file that gave the run most of its learning rate, else its first file, else the run's own path."""
    by_source = diagnosis.trajectory.lr_points_by_source
    if by_source:
        return max(by_source, key=lambda pair: pair[1])[0]
    return min((source.path for source in diagnosis.run.sources), default=diagnosis.run.path)


def relative(path: str) -> str | None:
    """`path` below the working folder with forward slashes, or None where it lies elsewhere."""
    below = os.path.relpath(os.path.abspath(path), os.getcwd())
    outside = below == os.pardir or below.startswith(os.pardir + os.sep) or os.path.isabs(below)
    return None if outside else Path(below).as_posix()


def shown(path: str) -> str:
    """`path` relative where it can be, else absolute, with forward slashes."""
    return relative(path) or Path(os.path.abspath(path)).as_posix()
