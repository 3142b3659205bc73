"""Which framework wrote a run: stated by a file, else by a checkpoint's layout, else by the names of files and tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from lrdoctor.model.run import Checkpoint, Hint, Series

_Evidence = tuple[frozenset[str], frozenset[str], str]  # names of files, tags, all paths as one text


def guess_framework(
    paths: Iterable[str], series: Sequence[Series], checkpoints: Sequence[Checkpoint], hints: Sequence[Hint]
) -> str | None:
    """A framework's lower-case name, or None."""
    stated = next((hint.value for hint in hints if hint.name == "framework" and isinstance(hint.value, str)), None)
    if stated:
        return stated.lower()
    saved = next((found.framework for found in checkpoints if found.framework), None)
    if saved:
        return saved
    whole = sorted(paths)
    evidence = (
        frozenset(path.rsplit("/", 1)[-1] for path in whole),
        frozenset(item.tag for item in series),
        "\n".join(whole),
    )
    return next((name for name, test in _TESTS if test(evidence)), None)


def _tagged(*patterns: str) -> Callable[[_Evidence], bool]:
    """Whether some tag matches each pattern as a whole."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return lambda evidence: all(any(one.fullmatch(tag) for tag in evidence[1]) for one in compiled)


def _named(*names: str) -> Callable[[_Evidence], bool]:
    return lambda evidence: evidence[0].issuperset(names)


def _lies_in(pattern: str) -> Callable[[_Evidence], bool]:
    compiled = re.compile(pattern)
    return lambda evidence: compiled.search(evidence[2]) is not None


def _both(one: Callable[[_Evidence], bool], other: Callable[[_Evidence], bool]) -> Callable[[_Evidence], bool]:
    return lambda evidence: one(evidence) and other(evidence)


_TESTS: tuple[tuple[str, Callable[[_Evidence], bool]], ...] = (
    ("transformers", _named("trainer_state.json")),
    ("transformers", _named("trainer_log.jsonl")),
    ("ml-agents", _tagged(r"Policy/.*")),
    ("ml-agents", _lies_in(r"run_logs/(timers|training_status)\.json")),
    ("ultralytics", _tagged(r"x/lr\d")),
    ("ultralytics", _tagged(r"lr/pg\d")),
    ("ultralytics", _named("hyp.yaml", "opt.yaml")),
    ("ultralytics", _tagged(r"train/box_loss")),
    ("openpcdet", _tagged(r"meta_data/learning_rate")),
    ("openpcdet", _lies_in(r"log_train_\d{8}-\d{6}\.txt")),
    ("stable-baselines3", _tagged(r"time/total_timesteps|rollout/ep_.*|train/(n_updates|clip_fraction)")),
    ("mmengine", _lies_in(r"vis_data/")),
    ("mmcv", _lies_in(r"\.log\.json(\n|$)")),
    ("detectron2", _tagged(r"(eta_seconds|data_time|total_loss)", r"lr", r"(time|rank_data_time|data_time)")),
    ("lightning", _lies_in(r"(^|/)(lightning_logs|version_\d+)/")),
    ("lightning", _tagged(r"lr-[A-Za-z0-9]+(-\d+)?(/.+)?")),
    ("lightning", _named("metrics.csv", "hparams.yaml")),
    ("timm", _named("summary.csv", "args.yaml")),
    ("timm", _named("summary.csv")),
    ("deepspeed", _tagged(r"Train/Samples/.*")),
    ("yolox", _named("train_log.txt")),
    ("deepspeed", _tagged(r"lr(\[\d+\])?", r"mom(\[\d+\])?")),
    ("flair", _both(_named("loss.tsv"), _tagged(r"LEARNING_RATE", r"(TRAIN|DEV)_LOSS"))),
    ("mae", _both(_lies_in(r"log\.txt(\n|$)"), _tagged(r"train_lr", r"(test_acc1|test_loss|train_loss)"))),
    ("keras", _tagged(r"(epoch_loss|epoch_accuracy|epoch_lr|epoch_learning_rate|batch_2|keras)")),
    ("keras", _tagged(r"(val_accuracy|accuracy|sparse_categorical_accuracy|val_mae)", r"val_loss", r"loss")),
)
