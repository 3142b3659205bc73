"""Where it is computed."""

from __future__ import annotations

import pytest

from lrdoctor.errors import UsageError
from lrdoctor.simulate.device import resolve_device

torch = pytest.importorskip("torch")


def test_an_absent_device_is_a_usage_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError) as caught:
        resolve_device("cuda")
    assert "--device auto" in str(caught.value.hint)


def test_an_unknown_device_lists_the_known_ones():
    with pytest.raises(UsageError) as caught:
        resolve_device("tpu")
    assert "auto, cpu, cuda, mps" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_best_device_present(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto").type == expected
