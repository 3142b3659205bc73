"""Settings saved beside a log (hparams.yaml, args.yaml, config.json, ...) -> hints."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Hint, Note
from lrdoctor.readers.inert_yaml import YamlError, parse
from lrdoctor.readers.opening import LFS_MAGIC, LFS_MESSAGE, decoded, is_text
from lrdoctor.readers.setting_names import hints_from
from lrdoctor.readers.storage import content_of, size_of

_NAME = re.compile(
    r"(^|.*[._-])(hparams|hyperparams|hyperparameters|hyp|opts?|options|args|arguments|train(ing)?_args|cli_args"
    r"|params|config|cfg|configuration|settings|ds_config\w{0,40}|deepspeed\w{0,40})\.(ya?ml|json)",
    re.IGNORECASE,
)


def is_side_file(path: str) -> bool:
    """Whether a file of this name holds settings."""
    return _NAME.fullmatch(os.path.basename(path)) is not None


def read_hints(path: str) -> Iterator[Hint | Note]:
    """The settings lrdoctor has a name for; a note where the file cannot be used. Raises nothing but `OSError`."""
    size = size_of(path)
    if size > limits().settings_bytes:
        yield Note(path, f"not read: {size:,} bytes are too many for settings ({raised_by('settings_bytes')})")
        return
    content = content_of(path)
    if content.startswith(LFS_MAGIC):
        yield Note(path, LFS_MESSAGE)
        return
    if not is_text(content):
        yield Note(path, "not read: it is not text")
        return
    try:
        settings = _parsed(path, decoded(content))
    except (ValueError, RecursionError) as error:
        yield Note(path, f"cannot be read as settings: {_why(error)}")
        return
    if isinstance(settings, Mapping):
        yield from hints_from(settings, path)


def _parsed(path: str, text: str) -> object:
    if not path.lower().endswith(".json"):
        return parse(text)
    return json.loads(text) if text.strip() else None


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}"
    return str(error) if isinstance(error, YamlError) else "it is nested too deeply or malformed"
