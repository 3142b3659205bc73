"""Settings for the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("lrdoctor", deadline=None)  # a loaded machine is no failure
settings.load_profile("lrdoctor")

os.environ["LRDOCTOR_CACHE"] = "off"  # what an earlier test left would answer in place of the code
os.environ["LRDOCTOR_LIBRARY"] = os.devnull  # models of the user's own would change the estimates
