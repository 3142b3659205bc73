"""Small helpers for `torch_code`: numbers and calls as a person would write them."""

from __future__ import annotations


def number(value: float) -> str:
    """`value` with up to six significant digits, integers without a point."""
    return f"{int(value)}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def literal(value: object) -> str:
    """Python source for a parameter value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(list(value)) if isinstance(value, tuple) else repr(value)
    return number(value)


def call(name: str, optimizer: str, params: dict[str, object]) -> str:
    """`torch.optim.lr_scheduler.NAME(optimizer, key=value, ...)`."""
    arguments = ", ".join([optimizer, *(f"{key}={literal(value)}" for key, value in params.items())])
    return f"torch.optim.lr_scheduler.{name}({arguments})"


def lambda_call(optimizer: str, factor: str) -> str:
    """`torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: FACTOR)`, where torch has no class of its own."""
    return f"torch.optim.lr_scheduler.LambdaLR({optimizer}, lambda t: {factor})"
