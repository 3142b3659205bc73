"""Which folders belong to one training run: each folder is given an owner, itself or a folder above.

The habits behind the rules are those of the frameworks named beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lrdoctor.readers.folder_tree import TIMESTAMP, Folder, LogFile, is_events

# Folders that hold a run's checkpoints.
_STORE = re.compile(r"^(checkpoints?|ckpts?|weights|models?|saved_models?|snapshots?|state)$", re.IGNORECASE)
# One save of several: HF checkpoint-500, accelerate checkpoint_3 / epoch_2 / step_100, DeepSpeed global_step400.
_SAVE = re.compile(
    r"^((checkpoint|ckpt|epoch|step|global_step|iter)[-_=]?\d+|last|latest|best|final|state)$", re.IGNORECASE
)
# Folders that hold a run's event files or scalars: YOLOX and OpenPCDet tensorboard/, mmengine vis_data/.
_LOG_PART = re.compile(r"^(vis_data|tensorboard(_?logs?)?|tb(_?logs?)?|events?|summar(y|ies))$", re.IGNORECASE)
_TRAIN = frozenset({"train", "training"})
_EVAL = frozenset({"val", "valid", "validation", "eval", "test"})
_WRITER = re.compile(r"tfevents\.\d+\.(?P<writer>.+?)\.\d+(\.v2)?$")
_ACROSS_TRAIN_AND_EVAL = 2


@dataclass(slots=True, eq=False)
class RunFolder:
    """One run: the folder that names it and all folders that are part of it, parents first."""

    root: Folder
    parts: list[Folder] = field(default_factory=list)

    @property
    def logs(self) -> list[LogFile]:
        return [log for part in self.parts for log in part.logs]

    @property
    def checkpoints(self) -> list[str]:
        return [path for part in self.parts for path in part.checkpoints]

    @property
    def side_files(self) -> list[str]:
        return [path for part in self.parts for path in part.side_files]

    @property
    def pointers(self) -> list[str]:
        return [path for part in self.parts for path in part.pointers]


def run_folders(tree: Folder) -> list[RunFolder]:
    """The runs of a tree, sorted by path. Folders without logs and checkpoints make none."""
    folders = (tree, *tree.below())
    owners: dict[Folder, Folder] = {}
    whole = {folder for folder in folders if _whole_tree_belongs(folder)}
    for folder in folders:
        owners[folder] = _owner(folder, owners, whole)
    runs: dict[Folder, RunFolder] = {}
    for folder, owner in owners.items():
        runs.setdefault(owner, RunFolder(owner)).parts.append(folder)
    kept = [run for run in runs.values() if run.logs or run.checkpoints or run.pointers]
    return sorted(_adopt(kept), key=lambda run: run.root.path)


def _owner(folder: Folder, owners: dict[Folder, Folder], whole: set[Folder]) -> Folder:
    parent = folder.parent
    if parent is None:
        return folder
    above = owners[parent]
    if above in whole or _tracked(parent) or (parent is not above and _is_part_of_part(folder)):
        return above
    return above if _belongs(folder, parent) else folder


def _whole_tree_belongs(owner: Folder) -> bool:
    """ML-Agents: beside run_logs/ there is a folder per behaviour."""
    return any(child.name == "run_logs" for child in owner.folders)


def _tracked(folder: Folder | None) -> bool:
    """W&B: all below the folder of run-ID.wandb (files/, logs/) is that run's; MLflow: all below a run's folder."""
    while folder is not None and not any(log.name.endswith(".wandb") or log.kind == "mlflow" for log in folder.logs):
        folder = folder.parent
    return folder is not None


def _is_part_of_part(folder: Folder) -> bool:
    """Inside a part of a run (checkpoints/, runs/ of HF) only what names itself differently is something else."""
    return not folder.logs or folder.is_set or folder.events_only


def _belongs(folder: Folder, parent: Folder) -> bool:
    rules = (
        _is_store,
        _is_save,
        _is_log_part,
        _is_half,
        _is_writers_own,
        _is_hf_runs,
        _is_lone_events,
        _is_timestamp,
        _is_tracker,
    )
    return any(rule(folder, parent) for rule in rules)


def _is_store(folder: Folder, parent: Folder) -> bool:
    """checkpoints/ or weights/, with no logs of its own save those inside HF's checkpoint-N."""
    return _STORE.match(folder.name) is not None and not _own_logs_below(folder) and _holds_checkpoints(folder)


def _own_logs_below(folder: Folder) -> bool:
    return any(one.logs and not one.is_set for one in (folder, *folder.below()))


def _holds_checkpoints(folder: Folder) -> bool:
    return any(one.checkpoints for one in (folder, *folder.below()))


def _is_save(folder: Folder, parent: Folder) -> bool:
    """Files saved together: part of the run around them, if named by a step or if there is a log around."""
    return folder.is_set and (_SAVE.match(folder.name) is not None or bool(parent.logs))


def _is_log_part(folder: Folder, parent: Folder) -> bool:
    return _LOG_PART.match(folder.name) is not None and bool(folder.logs)


def _is_half(folder: Folder, parent: Folder) -> bool:
    """train/ and validation/ of Keras, train/ and eval/ of the TF2 object detection API: event files side by side."""
    if not folder.events_only or folder.name not in _TRAIN | _EVAL:
        return False
    kinds = {one.name in _TRAIN for one in parent.folders if one.events_only and one.name in _TRAIN | _EVAL}
    return len(kinds) == _ACROSS_TRAIN_AND_EVAL or bool(parent.logs or parent.side_files or parent.checkpoints)


def _is_writers_own(folder: Folder, parent: Folder) -> bool:
    """SummaryWriter.add_scalars and add_hparams open event files in subfolders, from the same process."""
    if not folder.events_only or not any(map(is_events, parent.logs)):
        return False
    return bool(_writers(folder) & _writers(parent))


def _writers(folder: Folder) -> set[str]:
    """Host and process number in the names of event files."""
    return {match["writer"] for log in folder.logs if (match := _WRITER.search(log.name))}


def _is_hf_runs(folder: Folder, parent: Folder) -> bool:
    """HF Trainer's event files lie in runs/<time>_<host>/ below its output folder."""
    if folder.name not in ("runs", "logs"):
        return False
    hf = any(log.name == "trainer_state.json" for log in parent.logs) or any(map(_is_hf_save, parent.folders))
    return hf and all(one.events_only for one in folder.below() if one.logs)


def _is_hf_save(folder: Folder) -> bool:
    return folder.is_set and folder.name.startswith("checkpoint-")


def _is_lone_events(folder: Folder, parent: Folder) -> bool:
    """A log file with a single subfolder of event files beside it (MAE's log.txt and its log_dir)."""
    if not folder.events_only or not parent.logs or any(map(is_events, parent.logs)):
        return False
    return [one for one in parent.below() if one.logs and not one.is_set] == [folder]


def _is_timestamp(folder: Folder, parent: Folder) -> bool:
    """mmengine: a folder per start below the work_dir that holds the checkpoints."""
    return TIMESTAMP.match(folder.name) is not None and bool(parent.checkpoints)


def _is_tracker(folder: Folder, parent: Folder) -> bool:
    """W&B's wandb/run-.../ inside a folder with logs is another record of that training, if it is the only one."""
    tracker = folder if folder.name == "wandb" else parent
    if tracker.name != "wandb" or tracker.parent is None or not tracker.parent.logs:
        return False
    return sum(any(log.name.endswith(".wandb") for log in one.logs) for one in tracker.folders) == 1


def _adopt(runs: list[RunFolder]) -> list[RunFolder]:
    """Checkpoints in a folder above the only run with logs belong to that run (Lightning's dirpath, a work_dir)."""
    kept = []
    for run in runs:
        heirs = [] if run.logs or not run.checkpoints else list(_with_logs_below(run, runs))
        if len(heirs) == 1:
            heirs[0].parts += run.parts
        else:
            kept.append(run)
    return kept


def _with_logs_below(run: RunFolder, runs: list[RunFolder]) -> Iterator[RunFolder]:
    below = set(run.root.below())
    return (other for other in runs if other.logs and other.root in below)
