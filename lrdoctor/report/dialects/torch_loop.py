"""A plain torch training loop."""

from __future__ import annotations

from lrdoctor.report.dialects.plan import Plan, optimizer_line, scheduler_line


def write(plan: Plan) -> str:
    """Optimizer, scheduler and the loop, with `step()` where it belongs."""
    inner = plan.stepped == "update"
    lines = [
        optimizer_line(plan),
        scheduler_line(plan),
        "for epoch in range(epochs):",
        "    for batch in loader:",
        "        optimizer.zero_grad()",
        "        loss_of(model, batch).backward()",
        "        optimizer.step()",
        "        scheduler.step()  # once after every optimizer.step()"
        if inner
        else "    scheduler.step()  # once an epoch",
    ]
    return "\n".join(lines)
