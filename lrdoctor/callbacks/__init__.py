"""lrdoctor inside the training process: the plan is checked at the start, the executed LR as it goes.

`guard` is for any PyTorch loop; the modules `lightning` and `transformers` beside this one each have an `LRDoctor` that
puts it into those trainers. torch is never imported here: optimizer and scheduler are the caller's.
"""

from lrdoctor.callbacks.guarding import Guard, ScheduleWarning, guard

__all__ = ["Guard", "ScheduleWarning", "guard"]
