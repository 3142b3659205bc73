"""Paired training: the same start and data under both LRs, stopped as soon as the difference is decided."""

from __future__ import annotations

import math
import sys
from collections import Counter
from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest

from lrdoctor.errors import MissingExtraError, UsageError
from lrdoctor.readers import read
from lrdoctor.reconstruct import reconstruct
from lrdoctor.simulate.pair import Outcome, Pair, compressed, train_pairs
from lrdoctor.simulate.setting import Setting, load_factory

torch = pytest.importorskip("torch")

UPDATES = 60
GOOD, BAD, WILD = np.full(UPDATES, 0.1), np.full(UPDATES, 0.001), np.full(UPDATES, 1e4)


def regression(seed, checkpoint=None):
    """A linear regression; its data come in an order of the seed's."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(4, 1)
    truth = torch.arange(4.0)[:, None]

    def batches(first):
        for update in count(first):
            x = torch.from_numpy(np.random.default_rng((seed, update)).normal(size=(16, 4)).astype(np.float32))
            yield x, x @ truth

    def loss(model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    return Setting(model, torch.optim.SGD(model.parameters(), lr=1.0), loss, batches)


def test_the_better_schedule_wins_after_the_least_number_of_seeds():
    outcome = train_pairs(regression, (BAD, GOOD), seeds=6)
    assert outcome.decision == "lower"
    assert len(outcome.pairs) < 6
    assert outcome.gain_95[0] > 0.0
    assert train_pairs(regression, (GOOD, BAD), seeds=6).decision == "higher"


def test_the_curves_of_both_are_means_over_the_seeds_and_end_where_the_trainings_do():
    outcome = train_pairs(regression, (BAD, GOOD), seeds=2)
    steps, executed, fixed = outcome.curves
    assert steps[-1] == UPDATES
    assert len(steps) == len(executed) == len(fixed) == 20
    assert executed[-1] == pytest.approx(np.mean([pair.executed for pair in outcome.pairs]))
    assert fixed[-1] == pytest.approx(np.mean([pair.fixed for pair in outcome.pairs]))
    assert len(train_pairs(regression, (WILD, GOOD), seeds=1).curves[0]) == 0


def test_under_the_same_lr_the_pair_is_the_same_to_the_last_bit_and_nothing_is_decided():
    outcome = train_pairs(regression, (GOOD, GOOD), seeds=3)
    assert len(outcome.pairs) == 3
    assert all(pair.executed == pair.fixed for pair in outcome.pairs)
    assert outcome.decision == "undecided"


def test_a_training_that_breaks_ends_its_seed_at_once_and_decides():
    seen = []
    outcome = train_pairs(regression, (WILD, GOOD), seeds=4, progress=lambda what, done, total: seen.append(done))
    assert math.isnan(outcome.pairs[0].executed)
    assert outcome.decision == "lower"
    assert max(seen) < UPDATES
    assert outcome.gain_95 is None


def test_a_start_at_a_later_update_goes_on_with_the_data_and_lr_of_that_update():
    batches = regression(3).batches(20)
    whole = regression(3).batches(0)
    for _ in range(20):
        next(whole)
    assert torch.equal(next(batches)[0], next(whole)[0])
    rising = np.linspace(0.0, 0.1, UPDATES)
    outcome = train_pairs(regression, (rising, rising), seeds=1, first=50)
    assert outcome.updates == 10


def test_a_checkpoint_is_handed_to_the_factory():
    given = []

    def factory(seed, checkpoint=None):
        given.append(checkpoint)
        return regression(seed)

    train_pairs(factory, (GOOD[:5], BAD[:5]), seeds=1, checkpoint="last.pt")
    assert given == ["last.pt", "last.pt"]


def test_groups_keep_the_ratio_of_their_lrs_and_the_peak_is_scaled():
    seen = []

    def factory(seed):
        setting = regression(seed)
        weight, bias = setting.model.parameters()
        optimizer = torch.optim.SGD([{"params": [weight], "lr": 1.0}, {"params": [bias], "lr": 0.1}])

        def loss(model, batch):
            seen.append([group["lr"] for group in optimizer.param_groups])
            return setting.loss(model, batch)

        return replace(setting, optimizer=optimizer, loss=loss, peak_lr=0.5)

    train_pairs(factory, (np.full(3, 1.0), np.full(3, 0.2)), seeds=1)
    assert seen[0] == pytest.approx([0.5, 0.05])
    assert seen[1] == pytest.approx([0.1, 0.01])


def test_every_training_is_logged_as_a_run_that_reads_back(tmp_path):
    train_pairs(regression, (BAD, GOOD), seeds=1, folder=tmp_path)
    for name, lr in (("executed", BAD), ("fixed", GOOD)):
        (run,) = read(str(tmp_path / "seed0" / name))
        trajectory = reconstruct(run)
        np.testing.assert_allclose(trajectory.lead.lr, lr, rtol=1e-6)
        assert trajectory.steps == UPDATES
        assert trajectory.loss is not None


@pytest.mark.parametrize("name", ["gpt", "digits"])
def test_a_bundled_training_learns(name):
    """Some 60 updates: enough to be far below what guessing gives."""
    if name == "digits":
        pytest.importorskip("sklearn")
    factory = load_factory(name)
    lr = np.concatenate([np.linspace(0.1, 1.0, 10), np.linspace(1.0, 0.1, 50)])
    outcome = train_pairs(factory, (lr * 1e-4, lr), seeds=1)
    assert outcome.gain > 0.3
    assert train_pairs(factory, (lr[:2], lr[:2]), seeds=1).pairs[0].gain == 0.0


def test_the_digits_are_scikit_learns_and_without_it_the_extra_is_named(monkeypatch):
    from lrdoctor.simulate import bundled

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    bundled._written.cache_clear()
    with pytest.raises(MissingExtraError) as caught:
        bundled.digits(0)
    assert "lrdoctor[replay]" in str(caught.value.hint)


def test_an_epoch_of_the_digits_shows_each_at_most_once_and_none_that_are_held_out():
    datasets = pytest.importorskip("sklearn.datasets")
    images = torch.tensor(datasets.load_digits().images, dtype=torch.float32) / 16.0
    held = {image.numpy().tobytes() for image in images[::5]}
    batches = islice(load_factory("digits")(3).batches(0), 22)
    epoch = [image.numpy().tobytes() for batch, _ in batches for image in batch]
    rest = [image.numpy().tobytes() for place, image in enumerate(images) if place % 5]
    assert not Counter(epoch) - Counter(rest)
    assert len(epoch) == 22 * 64
    assert not held & set(epoch)


def test_a_factory_that_is_none_is_named():
    for name in ("nothing", "no.such.module:f", "lrdoctor.simulate.bundled:nothing", "lrdoctor:__version__"):
        with pytest.raises(UsageError):
            load_factory(name)
    with pytest.raises(UsageError, match="gave a int"):
        train_pairs(lambda seed: 5, (GOOD, BAD))


def test_what_fails_in_the_users_code_is_told_with_its_place():
    def no_data(seed):
        raise RuntimeError("no data here")

    def half_way(seed):
        return replace(regression(seed), loss=lambda model, batch: model(batch[0]).nothing)

    for factory, why in ((no_data, "RuntimeError: no data here"), (half_way, "AttributeError: ")):
        with pytest.raises(UsageError, match="failed") as caught:
            train_pairs(factory, (GOOD, BAD))
        assert caught.value.why.startswith(why)
        assert "test_pair.py" in caught.value.where


def test_a_file_that_is_no_checkpoint_of_a_bundled_model_is_a_usage_error(tmp_path):
    (tmp_path / "other.pt").write_bytes(b"step,lr,loss")
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "foreign.pt")
    for name in ("other.pt", "foreign.pt"):
        with pytest.raises(UsageError, match="does not fit the bundled model"):
            load_factory("gpt")(0, checkpoint=str(tmp_path / name))


def test_a_schedule_is_played_faster_with_its_ends_and_shape():
    lr = np.linspace(1.0, 0.0, 1_001)
    np.testing.assert_allclose(compressed(lr, 11), np.linspace(1.0, 0.0, 11))
    assert compressed(lr, 1_001) is lr


def test_seeds_that_disagree_decide_nothing():
    assert Outcome((Pair(0, 1.0, 0.9), Pair(1, 1.0, 1.1)), 10).decision == "undecided"
    assert Outcome((Pair(0, math.nan, 0.9), Pair(1, 1.0, math.nan)), 10).decision == "undecided"
