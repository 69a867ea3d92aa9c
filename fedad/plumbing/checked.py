"""Check values against the types of a dataclass's fields, and say in words what was expected."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError


@cache
def adapters(table: type) -> dict[str, TypeAdapter[Any]]:
    """What checks each field of a dataclass, by its name; made once, a millisecond a field."""
    kinds = get_type_hints(table, include_extras=True)
    return {one.name: TypeAdapter(kinds[one.name]) for one in fields(table)}


def expected(error: ValidationError) -> str:
    """What was expected in place of the first value that is wrong: "expected a valid integer"."""
    message = str(error.errors()[0]["msg"]).replace("Input should be", "expected")
    return message.removeprefix("Value error, ")
