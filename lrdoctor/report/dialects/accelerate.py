"""Accelerate: a prepared scheduler is stepped once per process at each update, so it stays outside `prepare`.

After accelerate/scheduler.py of accelerate 1.15 (`split_batches=False`, its default).
"""

from __future__ import annotations

from lrdoctor.report.dialects.plan import Plan, optimizer_line, scheduler_line


def write(plan: Plan) -> str:
    """A loop that steps the scheduler once for each update that was really made."""
    inner = plan.stepped == "update"
    lines = [
        optimizer_line(plan),
        scheduler_line(plan),
        "# the scheduler is not prepared: prepared, it would be stepped num_processes times an update",
        "model, optimizer, loader = accelerator.prepare(model, optimizer, loader)",
        "for epoch in range(epochs):",
        "    for batch in loader:",
        "        with accelerator.accumulate(model):",
        "            accelerator.backward(loss_of(model, batch))",
        "            optimizer.step()",
    ]
    if inner:
        lines += [
            "            if accelerator.sync_gradients and not accelerator.optimizer_step_was_skipped:",
            "                scheduler.step()",
        ]
    lines.append("            optimizer.zero_grad()")
    return "\n".join(lines if inner else [*lines, "    scheduler.step()  # once an epoch"])
