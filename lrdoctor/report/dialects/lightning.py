"""Lightning's `configure_optimizers`, whose `interval` decides how often the scheduler is stepped (default: epoch)."""

from __future__ import annotations

from lrdoctor.report.dialects.plan import Plan, indented, optimizer_line, scheduler_line


def write(plan: Plan) -> str:
    """The method, with the dictionary that names the interval."""
    interval = "step" if plan.stepped == "update" else "epoch"
    body = [
        optimizer_line(plan, "self.parameters()"),
        scheduler_line(plan),
        f'return {{"optimizer": optimizer, "lr_scheduler": {{"scheduler": scheduler, "interval": "{interval}"}}}}',
    ]
    return "def configure_optimizers(self):\n" + "\n".join(map(indented, body))
