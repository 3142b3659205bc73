"""Every error lrdoctor raises on purpose.

    LrdoctorError
    |-- UsageError              exit 2   the command line or a setting is wrong
    |   |-- UnknownRuleError
    |   |-- SettingsError
    |   `-- RuleFileError       a rule file of the user's is broken
    |-- NothingReadableError    exit 3   no path held anything that could be read
    |-- ReadError               exit 3   one file could not be used at all
    |-- MissingExtraError       exit 2   an optional dependency is needed and absent
    `-- ScheduleFaultError               a strict guard found a fault while training

The command line catches `LrdoctorError` once, prints its parts to stderr and exits with `exit_status`.
"""

from __future__ import annotations

from typing import ClassVar


class LrdoctorError(Exception):
    """What went wrong, where, why, and what to try.

    `what` is a full sentence; `where` a path or position; `why` the cause in plain words; `hint` the next thing to try.
    """

    slug: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 2

    def __init__(self, what: str, *, where: str | None = None, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"  {label}: {text}" for label, text in self.details()]
        return "\n".join(parts)

    def details(self) -> list[tuple[str, str]]:
        """The labelled parts that are known, in reading order."""
        labelled = (("where", self.where), ("why", self.why), ("try", self.hint))
        return [(label, text) for label, text in labelled if text]


class UsageError(LrdoctorError):
    slug = "usage"


class UnknownRuleError(UsageError):
    slug = "unknown-rule"


class SettingsError(UsageError):
    slug = "settings"


class RuleFileError(UsageError):
    slug = "rule-file"


class MissingExtraError(LrdoctorError):
    slug = "missing-extra"


class ReadError(LrdoctorError):
    slug = "unreadable"
    exit_status = 3


class NothingReadableError(LrdoctorError):
    slug = "nothing-readable"
    exit_status = 3


class ScheduleFaultError(LrdoctorError):
    slug = "schedule-fault"
    exit_status = 1
