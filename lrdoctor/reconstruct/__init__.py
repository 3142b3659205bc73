"""From series as written to the executed trajectory: which tag is the LR, which axis the step, what was trained."""

from __future__ import annotations

from lrdoctor.reconstruct.build import reconstruct

__all__ = ["reconstruct"]
