"""Audits: from paths to diagnoses, one run or thousands, here or on other machines."""

from lrdoctor.auditing.one import diagnose
from lrdoctor.auditing.options import Options, Progress, rules_of
from lrdoctor.auditing.whole import audit, examine

__all__ = ["Options", "Progress", "audit", "diagnose", "examine", "rules_of"]
