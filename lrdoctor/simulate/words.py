"""A counterfactual as sentences."""

from __future__ import annotations

from lrdoctor.model.diagnosis import Counterfactual


def describe(counterfactual: Counterfactual) -> str:
    """One or two sentences for a person: the estimate with its interval and its source, or why there is none."""
    if counterfactual.status == "not-needed":
        return "no fix with a schedule of its own, so there is nothing to re-simulate"
    if counterfactual.status == "refused":
        return f"refused: {counterfactual.reason}"
    if counterfactual.interval_90 is None:
        return f"the loss would have ended {counterfactual.direction}; no number is given: {counterfactual.reason}"
    low, high = counterfactual.interval_90
    observed = counterfactual.observed_final_loss
    text = (
        f"with the fixed schedule this run would have ended at {counterfactual.estimated_final_loss:.3f} "
        f"(90 % interval {low:.3f} to {high:.3f}) "
        + ("had it not diverged" if observed is None else f"instead of {observed:.3f}")
    )
    if counterfactual.direction == "unclear":
        text += ", a difference that could as well be none"
    if counterfactual.prior_share is not None:
        text += f"; {counterfactual.prior_share:.0%} of this is known from other models rather than from this run"
    return text


def basis(counterfactual: Counterfactual) -> list[str]:
    """What the estimate rests on, and what would settle it: one line each."""
    lines = list(counterfactual.notes)
    if counterfactual.leaned_on:
        lines.append(f"the prior leans on {', '.join(counterfactual.leaned_on)}")
    if counterfactual.settle:
        lines.append(f"to settle it: {counterfactual.settle}")
    return lines
