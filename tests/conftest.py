"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("lrdoctor", deadline=None)  # a loaded machine is no failure
settings.load_profile("lrdoctor")
