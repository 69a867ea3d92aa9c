"""JSON, TOML and YAML from anybody: bounded before a parser sees it, and one error for all.

The parsers that Python has overflow its stack on 1,000 brackets (JSON), take a minute and all
memory for 20,000 (YAML) or for as many dots in a key (TOML), and unfold nine lines of YAML to a
billion words. Here a text of more characters or levels than any of ours is refused first, by one
linear look at it. Every reader in this repository goes through these functions.

What is wrong is a ValueError of one line; who calls names the file in it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_DEPTH = 50  # levels of brackets, dots in a key, or indents; ours have 12
LONGEST = {"JSON": 2**28, "TOML": 2**18, "YAML": 2**17}  # characters
MOST_NODES = 20_000  # of a YAML file, counting what an alias repeats
MOST_DIGITS = 20  # of a whole number: 64 bits
WIDEST = 2**64
PLAIN = ("str", "int", "float", "bool", "merge")  # what a key of YAML may be, but for NaN
# A string, whether it ends or not, or a bracket. Each takes a character or more and none is tried
# twice, so that the look is linear.
_JSON = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_TOML = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?|\'\'\'(?:[^\']++|\'(?!\'\'))*+(?:\'\'\')?'
    r'|"(?:[^"\\\n]++|\\.)*+"?|\'[^\'\n]*+\'?|#[^\n]*+|[\[\]{}\n=,.]',
    re.DOTALL,
)


def read_text(path: Path, kind: str) -> str:
    """A file as text, of no more characters than a text of this kind may have.

    Raises:
        OSError: it cannot be read.
        ValueError: it is longer, or no UTF-8.
    """
    with path.open("rb") as file:  # not by its size: a pipe or a device has none
        data = file.read(LONGEST[kind] + 1)
    return _decoded(data, kind)


def read_json(path: Path) -> Any:
    """The JSON in a file. Raises as `read_text` and `from_json` do."""
    return from_json(read_text(path, "JSON"))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables in a TOML file. Raises as `read_text` and `from_toml` do."""
    return from_toml(read_text(path, "TOML"))


def from_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: no JSON, too long or too deep, a key that stands twice, or a whole number of
            more than 64 bits.
    """
    text = _decoded(text, "JSON")
    _check_depth(text, _JSON)
    return json.loads(text, object_pairs_hook=_once, parse_int=_whole)


def from_toml(text: str | bytes) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: no TOML, too long or too deep, or a whole number of more than 64 bits.
    """
    text = _decoded(text, "TOML")
    _check_depth(text, _TOML)
    found = tomllib.loads(text)
    _check_whole(found)
    return found


def from_yaml(text: str | bytes) -> Any:
    """What a YAML text says.

    Raises:
        ValueError: no YAML, too long, too deep or too many nodes (an alias counts as what it
            repeats), a key that stands twice or is neither a text nor a whole number, or a whole
            number of more than 64 bits.
    """
    import yaml

    text = _decoded(text, "YAML")
    try:
        _check_nodes(yaml.parse(text, Loader=yaml.SafeLoader))
        found = yaml.safe_load(text)
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # as of `!!bool x`
        raise ValueError(f"a value that is not what its tag says ({error})") from None
    _check_whole(found)
    return found


def _decoded(text: str | bytes, kind: str) -> str:
    """The text, if it is not too long: bytes are never fewer than characters."""
    if len(text) > LONGEST[kind]:
        raise ValueError(f"more than {LONGEST[kind]:,} characters")
    try:
        return text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8: byte {error.start} is {text[error.start]:#x}") from None


def _check_depth(text: str, tokens: re.Pattern[str]) -> None:
    """Refuse brackets in brackets, and dots in a key, beyond `MOST_DEPTH`."""
    if sum(map(text.count, "[{.")) <= MOST_DEPTH:
        return
    depth = dots = 0
    for found in tokens.finditer(text):
        mark = found[0]
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if mark == ".":
            dots += 1
        elif mark in ("\n", "=", ",", "[", "{"):  # where a key ends, or another may begin
            dots = 0
        if max(depth, dots) > MOST_DEPTH:
            raise ValueError(f"more than {MOST_DEPTH} levels deep, at character {found.start():,}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!a:.80} stands twice")
    return found


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(digits):,} digits")
    return int(digits)


def _check_whole(value: Any) -> None:
    """Refuse whole numbers that Python may not even print. What is looked at is not deep."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _check_whole(key)
            _check_whole(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            _check_whole(part)
    elif isinstance(value, int) and abs(value) >= WIDEST:
        raise ValueError(f"a whole number of {value.bit_length():,} bits, expected 64 at most")


def _check_nodes(events: Iterator[Any]) -> None:
    """Refuse depth and number of nodes while they are read, an alias as often as what it repeats.

    The parser is fast as long as what it has open is little: it is asked for no more then.
    """
    import yaml

    sizes: dict[str, int] = {}  # of what an anchor names
    opened: list[tuple[str | None, int]] = []  # anchors of what is not yet closed; nodes before it
    nodes = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(
                    f"the alias {event.anchor!a:.80} stands for nothing, or for itself"
                )
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            sizes |= {anchor: nodes - before} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        if len(opened) > MOST_DEPTH:
            raise ValueError(f"more than {MOST_DEPTH} levels deep, in {_line(event)}")
        if nodes > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} words and lists, in {_line(event)}")


def _check_keys(node: Any) -> None:
    """Refuse a key that stands twice, of which YAML's own reader takes the last."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            kind = key.tag.rpartition(":")[2]
            if kind not in PLAIN or (kind == "float" and "nan" in str(key.value).lower()):
                raise ValueError(f"a key that is no word, in {_line(key)}: {key.value!s:.80}")
            if key.value in seen:
                raise ValueError(f"the key {key.value!a:.80} stands twice, in {_line(key)}")
            seen.add(key.value)
            _check_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _check_keys(part)


def _line(place: Any) -> str:
    return f"line {place.start_mark.line + 1}"
