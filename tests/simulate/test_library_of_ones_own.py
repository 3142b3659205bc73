"""Models of the user's own: learned from their runs, kept in their file, counted in later estimates."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.errors import UsageError
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Sequence, Warmup
from lrdoctor.simulate.fitted import Read
from lrdoctor.simulate.learn import entries_of
from lrdoctor.simulate.library import load_library
from lrdoctor.simulate.user_library import known_models, library_file, user_entries, with_added, with_removed

FLAT = Warmup(Constant(1e-3), 300, 0.01)
DECAYED = Warmup(Sequence((Constant(1e-3), LinearLR(1e-3, 2_400)), (9_300,)), 300, 0.01)


@pytest.fixture
def reads(case):
    return [Read(one.run, one.trajectory, one.identification) for one in (case(FLAT), case(DECAYED))]


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "data" / "mine.json"
    monkeypatch.setenv("LRDOCTOR_LIBRARY", str(path))
    return path


def test_runs_of_one_peak_become_one_entry_near_the_planted_law(reads, theta):
    (entry,) = entries_of(reads, load_library())
    assert (entry.model, entry.peak_lr, entry.runs) == ("llama-124M", 1e-3, 2)
    np.testing.assert_allclose(entry.theta[[2, 3]], theta[[2, 3]], atol=0.2)


def test_peaks_are_kept_apart_and_the_name_can_be_given(reads, case):
    other = case(Warmup(Sequence((Constant(5e-4), LinearLR(5e-4, 2_400)), (9_300,)), 300, 0.01))
    both = [*reads, Read(other.run, other.trajectory, other.identification)]
    found = entries_of(both, load_library(), "mine")
    assert [(entry.model, entry.peak_lr, entry.runs) for entry in found] == [("mine", 5e-4, 1), ("mine", 1e-3, 2)]


def test_a_decay_that_starts_in_the_warmup_is_a_run_of_the_same_peak(reads, case):
    under = case(Warmup(Sequence((Constant(9.9e-4), LinearLR(9.9e-4, 2_400)), (9_300,)), 300, 0.01))
    (entry,) = entries_of([*reads, Read(under.run, under.trajectory, under.identification)], load_library())
    assert (entry.peak_lr, entry.runs) == (1e-3, 3)


def test_a_constant_run_and_a_cosine_show_a_decay(reads, case):
    cosine = case(Warmup(CosineAnnealingLR(1e-3, 11_700), 300, 0.01))
    both = [reads[0], Read(cosine.run, cosine.trajectory, cosine.identification)]
    (entry,) = entries_of(both, load_library())
    assert entry.runs == 2


def test_a_constant_run_alone_says_nothing_about_decays_and_is_not_added(reads):
    with pytest.raises(UsageError, match="cannot be added") as caught:
        entries_of(reads[:1], load_library())
    assert "do not show how the loss falls" in caught.value.why


def test_another_kind_of_model_is_not_added(reads, case):
    image = case(DECAYED, model="resnet50")
    with pytest.raises(UsageError) as caught:
        entries_of([Read(image.run, image.trajectory, image.identification)], load_library())
    assert "something else" in caught.value.why


def test_a_file_of_ones_own_is_added_to_replaced_and_removed_from(reads, file):
    assert user_entries() == ()
    assert library_file() == file
    (entry,) = entries_of(reads, load_library(), "mine")
    file.parent.mkdir()
    file.write_text(with_added([entry]), encoding="utf-8")
    file.write_text(with_added([replace(entry, runs=5), replace(entry, model="other")]), encoding="utf-8")
    assert [(one.model, one.runs) for one in user_entries()] == [("mine", 5), ("other", 2)]
    assert with_removed("nobody") is None
    file.write_text(with_removed("mine"), encoding="utf-8")
    assert [one.model for one in user_entries()] == ["other"]


def test_an_entry_of_ones_own_counts_in_the_prior(reads, file):
    before = known_models().prior(1e-3).mean
    (entry,) = entries_of(reads, load_library(), "mine")
    shifted = replace(entry, theta=entry.theta + np.array([0, 0, 0, 0.8, 0, 0, 0]))
    file.parent.mkdir()
    file.write_text(with_added([shifted]), encoding="utf-8")
    assert known_models().prior(1e-3).mean[1] > before[1] + 0.05


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"entries": [{"model": "x"}]})])
def test_a_broken_file_is_named_with_what_to_do(file, text):
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        known_models()
    assert caught.value.where == str(file)
    assert "library add" in caught.value.hint
