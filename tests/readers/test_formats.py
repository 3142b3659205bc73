"""Each tool's log from the file to the trajectory: the learning rate, its step, its length. Then the same, damaged.

The files are miniatures in the tools' own words (names, order, quoting, precision); where a tool is installed, tests of
its reader write them with the tool itself.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.util.tensor_util import make_tensor_proto

from lrdoctor.errors import ReadError
from lrdoctor.readers import read
from lrdoctor.readers.checksum import masked_crc
from lrdoctor.reconstruct import reconstruct

PEAK = 1e-3


def rate(step: float, total: int) -> float:
    """A straight decline, in few digits."""
    return float(f"{PEAK * (1 - step / total):.4g}")


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def llama_factory() -> str:
    """LLaMA-Factory's callbacks.py, LogCallback.on_log."""
    record = {"total_steps": 200, "epoch": 0.0, "percentage": 5.0, "elapsed_time": "0:00:01", "remaining_time": "0:10"}
    train = (
        {"current_steps": n, **record, "loss": 2 - n / 200, "lr": rate(n, 200), "epoch": n / 100}
        for n in range(10, 201, 10)
    )
    return lines(*train, {"current_steps": 200, "total_steps": 200, "eval_loss": 0.9, "epoch": 2.0})


def fairseq_json() -> str:
    """fairseq with --log-format json: updates as they go, an epoch's means, the validation."""
    out = ["2020-02-07 13:20:00 | INFO | fairseq_cli.train | Namespace(adam_betas='(0.9, 0.98)', lr=[0.001])"]
    for epoch in (1, 2):
        for n in range(epoch * 100 - 90, epoch * 100 + 1, 10):
            inner = {
                "epoch": epoch, "update": round(n / 100, 3), "loss": f"{13 - n / 100:.3f}", "nll_loss": "12.5",
                "wps": "935.2", "ups": "0.68", "wpb": "1383", "num_updates": str(n), "lr": f"{rate(n, 200):.6g}",
                "gnorm": "8.076", "loss_scale": "8", "train_wall": "2", "wall": "0",
            }  # fmt: skip
            out.append(f"2020-02-07 13:21:07 | INFO | train_inner | {json.dumps(inner)}")
        valid = {"epoch": epoch, "valid_loss": "11.0", "valid_nll_loss": "10.1", "valid_num_updates": str(epoch * 100)}
        means = {
            "epoch": epoch, "train_loss": "11.049", "train_nll_loss": "10.399", "train_wps": "2.4e+06",
            "train_num_updates": str(epoch * 100), "train_lr": f"{rate(epoch * 100, 200):.6g}", "train_gnorm": "1.7",
        }  # fmt: skip
        out.append(f"2020-02-07 13:22:00 | INFO | valid | {json.dumps(valid)}")
        out.append(f"2020-02-07 13:22:01 | INFO | train | {json.dumps(means)}")
    return "\n".join(out) + "\n"


def fairseq_simple() -> str:
    """fairseq with --log-format simple, before it had num_updates on each line."""
    return "".join(
        f"| epoch {e:03d}:    {n:3d} / 100 loss=2.17 (3.20), wps=959, lr={rate(100 * e - 100 + n, 200):g}, gnorm=2.7\n"
        for e in (1, 2)
        for n in range(0, 100, 10)
    )


def keras_csv() -> str:
    """keras.callbacks.CSVLogger; the LR is a float32."""
    rows = [f"{n},{0.5 + n / 50},{np.float32(rate(n, 20))},{2 - n / 20},{2.5 - n / 20}" for n in range(20)]
    return "\n".join(["epoch,accuracy,learning_rate,loss,val_loss", *rows]) + "\n"


def sb3() -> str:
    """Stable-Baselines3's CSVOutputFormat: progress.csv."""
    header = "rollout/ep_rew_mean,time/iterations,time/total_timesteps,train/learning_rate,train/loss,train/n_updates"
    rows = [f"{n * 1.5},{n},{n * 2048},{rate(n, 20)},{3.0 / n},{n * 10}" for n in range(1, 20)]
    return "\n".join([header, *rows]) + "\n"


def mmcv() -> str:
    """mmcv's JsonLoggerHook: five decimals, an in-epoch counter."""
    head = {"env_info": "sys.platform: linux", "seed": None, "exp_name": "config.py"}
    train = (
        {"mode": "train", "epoch": e, "iter": i, "lr": round(0.02 * (1 - (e * 100 - 100 + i) / 400), 5), "loss": 1.5}
        for e in (1, 2, 3)
        for i in range(50, 101, 50)
    )
    return lines(head, *train, {"mode": "val", "epoch": 3, "iter": 5, "lr": 0.005, "bbox_mAP": 0.5})


def dino() -> str:
    """facebookresearch/dino main_dino.py; DETR and DeiT write the same with other names for the loss."""
    return lines(
        *({"train_loss": 10 - e, "train_lr": rate(e, 10), "train_wd": 0.04 + e / 100, "epoch": e} for e in range(10))
    )


def detr() -> str:
    record = {
        "train_class_error": 99.1,
        "train_loss_ce": 2.5,
        "test_class_error": 90.0,
        "test_coco_eval_bbox": [0.1] * 12,
    }
    return lines(
        *({"train_lr": rate(e, 10), **record, "train_loss": 20 - e, "epoch": e, "n_parameters": 4} for e in range(10))
    )


def yolox() -> str:
    """YOLOX's train_log.txt (loguru)."""
    return "".join(
        f"2022-12-23 18:21:39.173 | INFO     | yolox.core.trainer:after_iter:253 - epoch: {e}/2, iter: {i}/100, "
        f"mem: 336Mb, iter_time: 0.699s, data_time: 0.001s, total_loss: {11 - e}.1, iou_loss: 1.8, "
        f"lr: {rate(100 * e - 100 + i, 200):.3e}, size: 416, ETA: 0:30:38\n"
        for e in (1, 2)
        for i in range(10, 101, 10)
    )


def deepspeed() -> str:
    return "".join(
        f"[2023-04-18 01:46:59,142] [INFO] [logging.py:96:log_dist] [Rank 0] step={n}, skipped=1, "
        f"lr=[{rate(n, 200)!r}, {rate(n, 200)!r}], mom=[(0.9, 0.95), (0.9, 0.95)]\n"
        f"[2023-04-18 01:46:59,150] [INFO] [timer.py:199:stop] epoch=0/micro_step={n}/global_step={n}, RunningAvg=4\n"
        for n in range(10, 201, 10)
    )


def nanogpt() -> str:
    """karpathy/nanoGPT prints no LR; the forks that do put it behind the loss."""
    return "".join(
        f"iter {n}: loss {4 - n / 100:.4f}, lr {rate(n, 200):.6e}, time 174.29ms\n" for n in range(0, 200, 10)
    )


def megatron() -> str:
    return "".join(
        f" [2024-01-01 00:00:00] iteration {n:6d}/    200 | consumed samples: {n * 16:9d} | elapsed time per iteration "
        f"(ms): 12.3 | learning rate: {rate(n, 200):.6E} | global batch size:    16 | lm loss: {9 - n / 100:.6E} | "
        "loss scale: 1.0 | grad norm: 1.250 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        for n in range(10, 201, 10)
    )


def events(*made: Event) -> bytes:
    records = []
    for event in (Event(wall_time=1.7e9, file_version="brain.Event:2"), *made):
        content = event.SerializeToString()
        size = struct.pack("<Q", len(content))
        records.append(size + struct.pack("<I", masked_crc(size)) + content + struct.pack("<I", masked_crc(content)))
    return b"".join(records)


def as_tensor(tag: str, value: float, step: int) -> Event:
    """What tf.summary.scalar of TensorFlow 2 writes: a tensor of no dimensions."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    made = Summary.Value(tag=tag, tensor=make_tensor_proto(np.float32(value)), metadata=metadata)
    return Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[made]))


def as_scalar(tag: str, value: float, step: int) -> Event:
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return Event(wall_time=1.7e9 + step, step=step, summary=summary)


def keras_events(tag: str) -> bytes:
    """keras.callbacks.TensorBoard with a LearningRateScheduler, in train/."""
    pairs = ((as_tensor(tag, rate(n, 20), n), as_tensor("epoch_loss", 2 - n / 20, n)) for n in range(20))
    return events(*(event for pair in pairs for event in pair))


def tf2_object_detection() -> bytes:
    pairs = (
        (as_tensor("learning_rate", rate(n, 2000), n), as_tensor("Loss/total_loss", 2.0, n))
        for n in range(0, 2000, 100)
    )
    return events(*(event for pair in pairs for event in pair))


def ml_agents() -> bytes:
    pairs = (
        (as_scalar("Policy/Learning Rate", rate(n, 20), n * 5000), as_scalar("Losses/Policy Loss", 0.02, n * 5000))
        for n in range(1, 20)
    )
    return events(*(event for pair in pairs for event in pair))


@dataclass(frozen=True)
class Format:
    """One file a tool writes and what is to be found in it. `first` and `last` are the LRs at the ends."""

    name: str
    write: Callable[[], str | bytes]
    points: int
    steps: int
    unit: str
    first: float
    last: float
    groups: int = 1
    per_epoch: float | None = None
    framework: str | None = None
    loss: str | None = None


FORMATS = {
    "LLaMA-Factory": Format(
        "trainer_log.jsonl", llama_factory, 20, 200, "update", rate(10, 200), 0.0, per_epoch=100,
        framework="transformers", loss="loss",
    ),
    "fairseq, json": Format(
        "hydra_train.log", fairseq_json, 20, 200, "update", rate(10, 200), 0.0, per_epoch=100, loss="loss"
    ),
    "fairseq, simple": Format(
        "train.log", fairseq_simple, 20, 191, "update", PEAK, rate(190, 200), per_epoch=100, loss="loss"
    ),
    "Keras CSVLogger": Format("training_log.csv", keras_csv, 20, 20, "epoch", PEAK, rate(19, 20), framework="keras"),
    "Keras epoch_lr events": Format(
        "events.out.tfevents.1.h.1.v2", lambda: keras_events("epoch_lr"), 20, 20, "epoch", PEAK, rate(19, 20),
        framework="keras", loss="epoch_loss",
    ),
    "Keras 3 events": Format(
        "events.out.tfevents.1.h.1.v2", lambda: keras_events("epoch_learning_rate"), 20, 20, "epoch", PEAK,
        rate(19, 20), framework="keras", loss="epoch_loss",
    ),
    "TensorFlow 2 tensors": Format(
        "events.out.tfevents.1.h.1.v2", tf2_object_detection, 20, 1901, "update", PEAK, rate(1900, 2000),
        loss="Loss/total_loss",
    ),
    "ML-Agents": Format(
        "events.out.tfevents.1.h.1.0", ml_agents, 19, 95001, "env-step", rate(1, 20), rate(19, 20),
        framework="ml-agents",
    ),
    "Stable-Baselines3": Format(
        "progress.csv", sb3, 19, 19 * 2048 + 1, "env-step", rate(1, 20), rate(19, 20), framework="stable-baselines3"
    ),
    "mmcv": Format(
        "None.log.json", mmcv, 7, 300, "update", 0.0175, 0.005, per_epoch=100, framework="mmcv", loss="loss"
    ),
    "DINO": Format("log.txt", dino, 10, 10, "epoch", PEAK, rate(9, 10), framework="mae", loss="train_loss"),
    "DETR": Format("log.txt", detr, 10, 10, "epoch", PEAK, rate(9, 10), framework="mae", loss="train_loss"),
    "YOLOX": Format(
        "train_log.txt", yolox, 20, 200, "update", rate(10, 200), 0.0, per_epoch=100, framework="yolox",
        loss="total_loss",
    ),
    "DeepSpeed": Format(
        "training.log", deepspeed, 20, 200, "update", rate(10, 200), 0.0, groups=2, framework="deepspeed"
    ),
    "nanoGPT": Format("train.log", nanogpt, 20, 191, "update", PEAK, rate(190, 200), loss="loss"),
    "Megatron": Format("train.log", megatron, 20, 200, "update", rate(10, 200), 0.0, loss="lm loss"),
}  # fmt: skip


def written(found: Format, folder: Path) -> Path:
    content = found.write()
    path = folder / found.name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("tool", FORMATS)
def test_a_log_is_read_down_to_its_trajectory(tool: str, tmp_path: Path) -> None:
    wanted = FORMATS[tool]
    (run,) = read(str(written(wanted, tmp_path).parent))
    found = reconstruct(run)
    assert run.framework == wanted.framework
    assert (found.step_unit, found.steps, found.lr_points) == (wanted.unit, wanted.steps, wanted.points)
    assert len(found.groups) == wanted.groups
    assert found.lead is not None
    assert found.lead.lr[[0, -1]].tolist() == pytest.approx([wanted.first, wanted.last], rel=1e-6, abs=1e-12)
    assert found.steps_per_epoch == wanted.per_epoch
    assert len(found.segments) == 1
    if wanted.loss is not None:
        assert found.loss is not None
        assert found.loss.tag == wanted.loss


@pytest.mark.parametrize("tool", FORMATS)
def test_a_log_that_was_cut_keeps_what_came_before(tool: str, tmp_path: Path) -> None:
    path = written(FORMATS[tool], tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * len(whole) // 3 + 5])
    (run,) = read(str(path))
    found = reconstruct(run)
    assert found.lead is not None
    assert FORMATS[tool].points / 2 <= found.lr_points < FORMATS[tool].points
    assert found.lead.lr[0] == pytest.approx(FORMATS[tool].first, rel=1e-6)


@pytest.mark.parametrize("tool", FORMATS)
@pytest.mark.parametrize("keep", [1, 7, 40, 200, 900])
@pytest.mark.filterwarnings("ignore")  # where nothing was recognised
def test_rubbish_behind_a_beginning_is_survived(tool: str, keep: int, tmp_path: Path) -> None:
    path = written(FORMATS[tool], tmp_path)
    alphabet = bytes(range(256)) if "tfevents" in path.name else b"\n 0123456789.,:=-e[](){}\"'abcdlrstepo_/|\xff"
    noise = bytes(np.random.default_rng(keep).choice(list(alphabet), 5000).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:keep] + noise)
    try:
        runs = read(str(path))
    except ReadError:
        return
    assert all(reconstruct(run).run_path for run in runs)
