"""The training commands in a shell script, as trees of their flags. The script is read, never run.

Literal assignments (`LR=2e-5`, `LR=${LR:-2e-5}`), arrays and `$NAME` are followed; anything else a value depends on (a
command's output, arithmetic, the environment) leaves it out of the tree rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrdoctor.configs.json_tree import Lines
from lrdoctor.configs.tree import Node
from lrdoctor.model.place import Place

_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)(\+?=)(.*)$", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)|\$\{(\w+)\[[@*]\]\}")
_FLAG = re.compile(r"^--?([A-Za-z][\w\-.]*)(?:=(.*))?$", re.DOTALL)
_PAIR = re.compile(r"^([A-Za-z_][\w.]*)=(.*)$", re.DOTALL)
_UNKNOWN = "\0"  # stands in a word for what cannot be known
LAUNCHERS = ("torchrun", "deepspeed", "accelerate", "python", "python3", "llamafactory-cli", "yolo", "axolotl", "srun")
_LAUNCH_FLAGS = {
    "nproc_per_node", "nproc-per-node", "nnodes", "num_gpus", "num_nodes", "num_processes", "num_machines",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command after quotes are taken off; `quoted` where it was in quotes as a whole."""

    text: str
    start: int
    end: int
    quoted: bool = False


def read_shell(text: str, path: str) -> list[Node]:
    """One tree for each command of the script that trains with flags, in order."""
    lines = Lines(text, path)
    variables: dict[str, list[str]] = {}
    roots = []
    for words in _commands(text):
        expanded = list(_expanded(words, variables))
        if _assigns(expanded, variables):
            continue
        root = _command_tree(expanded, lines)
        if root is not None:
            roots.append(root)
    return roots


def _commands(text: str) -> Iterator[list[Word]]:
    """The words of each simple command; `name=( a b )` is one command whose array is kept together."""
    words: list[Word] = []
    at, size, depth = 0, len(text), 0
    while at < size:
        char = text[at]
        if char == "\\" and text[at + 1 : at + 2] == "\n":
            at += 2
        elif char == "#" and (at == 0 or text[at - 1] in " \t\n;"):
            at = (text.find("\n", at) + size + 1) % (size + 1) if "\n" in text[at:] else size
        elif char in "\n;&|" and not depth:
            if words:
                yield words
            words, at = [], at + 1
        elif char in " \t\n\r;&|":
            at += 1
        elif char == "(" and words and words[-1].text.endswith("="):
            depth, at = depth + 1, at + 1
        elif char in "()":
            depth, at = max(0, depth - (char == ")")), at + 1
        else:
            word = _word(text, at)
            words.append(word)
            at = max(word.end, at + 1)
    if words:
        yield words


def _word(text: str, start: int) -> Word:
    at, size, parts, quoted = start, len(text), [], False
    while at < size and text[at] not in " \t\n\r;&|()":
        char = text[at]
        if char in "\"'":
            end = _closing(text, at)
            inner = text[at + 1 : end]
            parts.append(inner if char == '"' else inner.replace("$", "\1"))
            quoted, at = True, end + 1
        elif char == "\\" and at + 1 < size:
            parts.append("" if text[at + 1] == "\n" else text[at + 1])
            at += 2
        elif text.startswith("$(", at):
            parts.append(_UNKNOWN)
            at = _balanced(text, at + 1)
        elif text.startswith("${", at):
            end = text.find("}", at)
            end = size if end < 0 else end
            parts.append(text[at : end + 1])
            at = end + 1
        else:
            parts.append(char)
            at += 1
    return Word("".join(parts), start, at, quoted)


def _closing(text: str, at: int) -> int:
    quote, end = text[at], at + 1
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" and quote == '"' else 1
    return min(end, len(text))


def _balanced(text: str, at: int) -> int:
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if not depth:
            return end + 1
    return len(text)


def _expanded(words: list[Word], variables: dict[str, list[str]]) -> Iterator[Word]:
    """Variables replaced; an array, or a string outside quotes, may become several words."""
    for word in words:
        whole = _VARIABLE.fullmatch(word.text)
        values = variables.get(next((name for name in (whole[1], whole[3], whole[4]) if name), "")) if whole else None
        if whole is not None and values is not None and (len(values) > 1 or not word.quoted):
            for value in values:
                yield from (
                    (Word(part, word.start, word.end) for part in value.split())
                    if len(values) == 1
                    else (Word(value, word.start, word.end),)
                )
            continue
        text = _VARIABLE.sub(lambda match: _value(match, variables), word.text)
        yield Word(text.replace("\1", "$"), word.start, word.end, word.quoted)


def _value(match: re.Match[str], variables: dict[str, list[str]]) -> str:
    name = match[1] or match[3] or match[4]
    if name in variables:
        return " ".join(variables[name])
    return match[2] if match[2] is not None else _UNKNOWN


def _assigns(words: list[Word], variables: dict[str, list[str]]) -> bool:
    """Take in a command that only assigns (`export` too)."""
    named = [word for word in words if word.text not in ("export", "local", "readonly", "declare", "-a", "-r", "-x")]
    first = _ASSIGNMENT.match(named[0].text) if named else None
    if first is None:
        return not named
    rest = named[1:]
    if first[3] == "" and rest and not _ASSIGNMENT.match(rest[0].text):
        old = variables.get(first[1], []) if first[2] == "+=" else []
        variables[first[1]] = [*old, *(word.text for word in rest)]
        return True
    if not all(_ASSIGNMENT.match(word.text) for word in rest):
        return False  # VAR=x command ...: the assignment holds for that command alone
    for word in named:
        match = _ASSIGNMENT.match(word.text)
        if match:
            variables[match[1]] = [match[3]] if match[3] else []
    return True


def _command_tree(words: list[Word], lines: Lines) -> Node | None:
    """Flags (`--a_b 1`, `--a-b=1`) and pairs (`a=1`) by name with underscores; a later one wins. None without any."""
    words = [word for index, word in enumerate(words) if index or not _ASSIGNMENT.match(word.text)]
    program = next((word.text.rsplit("/", 1)[-1] for word in words if not _ASSIGNMENT.match(word.text)), "")
    values: dict[str, Node] = {}
    places: dict[str, Place] = {}
    launcher: dict[str, Node] = {}
    index = 0
    while index < len(words):
        word = words[index]
        flag, pair = _FLAG.match(word.text), _PAIR.match(word.text)
        index += 1
        if flag is not None:
            name, value, last = flag[1], flag[2], word
            if value is None and index < len(words) and not _begins_flag(words[index]):
                last, value = words[index], words[index].text
                index += 1
        elif pair is not None:
            name, value, last = pair[1], pair[2], word
        else:
            continue
        if value is not None and _UNKNOWN in value:
            continue
        key = name.replace("-", "_")
        node = Node("true" if value is None else value, lines.place(last.start, last.end), value)
        if name in _LAUNCH_FLAGS:
            launcher[key] = node
        values[key], places[key] = node, lines.place(word.start, word.end)
    if not values:
        return None
    start = lines.place(words[0].start, words[-1].end)
    values["@launcher"] = Node(launcher, start)
    values["@program"] = Node(program, start)
    return Node(values, start, key_places=places)


def _begins_flag(word: Word) -> bool:
    return _FLAG.match(word.text) is not None and not re.match(r"^-\d", word.text)
