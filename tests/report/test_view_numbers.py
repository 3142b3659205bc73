"""Numbers read as a person would write them."""

from __future__ import annotations

import math

import pytest

from lrdoctor.report import numbers as fmt
from lrdoctor.report.numbers import NOTHING


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3e-4, "3e-4"),
        (1.25e-3, "1.25e-3"),
        (0.1, "0.1"),
        (0.05, "0.05"),
        (0.1234567, "0.123"),
        (9.999e-3, "1e-2"),
        (0.0, "0"),
        (1.0, "1"),
        (math.nan, NOTHING),
        (None, NOTHING),
    ],
)
def test_a_learning_rate_has_at_most_three_digits(value: float | None, text: str) -> None:
    assert fmt.lr(value) == text


def test_steps_have_thousands_separators() -> None:
    assert (fmt.count(1234567), fmt.count(2.5), fmt.count(math.inf)) == ("1,234,567", "2.5", NOTHING)


def test_a_plural_follows_its_count() -> None:
    assert (fmt.plural(1, "run"), fmt.plural(2, "run")) == ("1 run", "2 runs")


def test_a_share_is_a_percentage() -> None:
    assert [fmt.share(x) for x in (0.983, 0.01, 0.0001, 0.0)] == ["98\xa0%", "1\xa0%", "0.01\xa0%", "0\xa0%"]


def test_values_of_an_evidence_table_keep_their_kind() -> None:
    values = (True, None, 10_000, 0.25, 1e-7, math.inf, "epoch", (30, 60), 4.0)
    assert [fmt.value(x) for x in values] == ["yes", NOTHING, "10,000", "0.25", "1e-7", "∞", "epoch", "30, 60", "4"]


def test_errors_and_losses_keep_their_digits() -> None:
    assert (fmt.small(1.23e-7), fmt.small(0.0), fmt.loss(2.31499), fmt.loss(1e-5)) == ("1.2e-7", "0", "2.315", "1e-5")
