"""The guide: what is known to work for a kind of model, optimizer and task, with its source.

A peak is stated at a batch size; None where the source does not tie it to one. Sources were read for each entry; what
rests on custom alone says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.engine.models import ModelKind
from lrdoctor.engine.optimizers import OptimizerKind
from lrdoctor.recommend.facts import Facts, Task
from lrdoctor.recommend.scaling import Range


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence and its source; an empty source is our own judgement."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Guideline:
    """`shape` is "linear", "cosine" or "steps"; `floor` the end as a share of the peak.

    The warmup is `warmup_share` of the run, or `warmup_epochs`, or Adam's 2 / (1 - beta2) updates where both are None.
    """

    name: str
    optimizers: tuple[OptimizerKind, ...]
    models: tuple[ModelKind, ...]
    tasks: tuple[Task, ...]
    shape: str
    peak: Range | None
    batch_size: int | None
    reasons: tuple[Reason, ...]
    floor: float = 0.0
    warmup_share: float | None = None
    warmup_epochs: float | None = None

    def fits(self, facts: Facts) -> bool:
        """Whether it speaks of this training; what a guideline does not name it does not ask for."""
        return (
            (not self.optimizers or facts.optimizer_kind in self.optimizers)
            and (not self.models or facts.model_kind in self.models)
            and (not self.tasks or facts.task in self.tasks)
        )


BERGSMA = "Bergsma et al. 2025, Straight to Zero"
GOYAL = "Goyal et al. 2017, Accurate, Large Minibatch SGD"
MALLADI = "Malladi et al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms"
SHALLUE = "Shallue et al. 2019, Measuring the Effects of Data Parallelism"
MA_YARATS = "Ma and Yarats 2021, On the adequacy of untuned warmup"
HOFFMANN = "Hoffmann et al. 2022, appendix B"
HAGELE = "Haegele et al. 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations"

TO_ZERO = Reason("decay to zero by a straight line: with a tuned peak it beats a cosine to 10 % of the peak", BERGSMA)

GUIDE: tuple[Guideline, ...] = (
    Guideline(
        "an adapter (LoRA) on a pretrained model", ("adam",), (), ("adapter",), "linear", Range(1e-4, 3e-4, 2e-4), None,
        (
            Reason("adapters take about ten times the learning rate of full fine-tuning: start at 2e-4",
                   "Unsloth documentation, LoRA hyperparameters guide"),
            Reason("3 to 10 % of the run as warmup is customary for fine-tuning"),
        ),
        warmup_share=0.03,
    ),
    Guideline(
        "fine-tuning a pretrained language model", ("adam",), ("language",), ("finetune",), "linear",
        Range(2e-5, 5e-5, 3e-5), 32,
        (
            Reason("of 5e-5, 3e-5 and 2e-5 with batches of 16 or 32 one works on most tasks",
                   "Devlin et al. 2019, BERT, appendix A.3"),
            Reason("3 to 10 % of the run as warmup is customary for fine-tuning"),
        ),
        warmup_share=0.06,
    ),
    Guideline(
        "a language model from scratch", ("adam",), ("language",), ("scratch",), "linear",
        Range(1e-4, 6e-4, 3e-4), None,
        (
            Reason("the peak falls with size: 6e-4 at 125 million parameters, 1e-4 at 13 billion",
                   "Brown et al. 2020, GPT-3, table 2.1"),
            TO_ZERO,
        ),
    ),
    Guideline(
        "a vision transformer from scratch", ("adam",), ("vision-transformer",), ("scratch",), "cosine",
        Range(5e-4, 5e-4, 5e-4), 512,
        (Reason("5e-4 for a batch of 512, five epochs of warmup, then a cosine",
                "Touvron et al. 2021, DeiT, and its training script"),),
        warmup_epochs=5.0,
    ),
    Guideline(
        "a detector on a pretrained backbone", ("sgd",), ("detector",), (), "steps", Range(0.02, 0.02, 0.02), 16,
        (Reason("0.02 for 16 images, a tenth of it from 62 % and a hundredth from 85 % of the run",
                "torchvision references/detection: 26 epochs with --lr-steps 16 22"),),
        warmup_share=0.01,
    ),
    Guideline(
        "a convolutional network from scratch", ("sgd",), ("convolutional",), ("scratch",), "cosine",
        Range(0.1, 0.1, 0.1), 256,
        (Reason("0.1 for a batch of 256, in proportion up to about 8192, after five epochs of warmup", GOYAL),),
        warmup_epochs=5.0,
    ),
    Guideline(
        "a convolutional network from scratch", ("adam",), ("convolutional",), ("scratch",), "cosine",
        Range(3e-4, 2e-3, 1e-3), None,
        (Reason("1e-3 is Adam's own default", "Kingma and Ba 2015, Adam, algorithm 1"),),
    ),
)  # fmt: skip

PLAIN = Guideline(
    "a training of a kind that the guide has no recipe for", (), (), (), "cosine", None, None,
    (Reason("no recipe is known for this combination: the run's own peak is the best guide there is"),),
)  # fmt: skip


def guideline_for(facts: Facts) -> Guideline:
    """The first guideline that speaks of this training."""
    return next((one for one in GUIDE if one.fits(facts)), PLAIN)
