"""Names that people take for one another: `lyon`, `Lyon`, `l yon`, or with a Cyrillic letter in it.

Two names are alike if they are equal either

    as read out:  in Unicode's NFKC form (full-width letters, ligatures), without case, white space
                  and letters that nobody sees
    as seen:      by the same, after each letter was replaced by the one that it looks like; case
                  counts until then, since `I` looks like `l` and `i` does not

`SEEN_AS` states what looks like what: of Unicode's table of confusable letters (UTS 39) the
alphabets that share shapes with Latin. A name in one other alphabet is told apart by its letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from fedad.plumbing.shown import UNSEEN

_TABLE = (
    ("0", "o"),
    ("1I|!\u01c0\u2223", "l"),  # an upper-case i, a bar, a click
    # Cyrillic, lower and upper case
    ("\u0430\u0435\u0451\u0456\u0457\u0458\u043a\u043e\u0440\u0441\u0443\u0445", "aeeiijkopcyx"),
    ("\u0455\u0501\u051b\u051d\u04bb\u04cf\u0475\u04af\u0433\u044c\u043f\u0442", "sdqwhlvyrbnt"),
    ("\u0410\u0412\u0415\u0401\u0406\u0407\u0408\u041a\u041c\u041d\u041e", "ABEEllJKMHO"),
    ("\u0420\u0421\u0422\u0423\u0425\u0405\u051a\u051c\u04c0\u0474\u04ae", "PCTYXSQWlVY"),
    ("\u0432\u043c\u043d\u0437\u0417", "BMH33"),  # small capitals, and the digit three
    # Greek, lower and upper case
    ("\u03b1\u03b3\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c3\u03c4\u03c5\u03c7", "ayeikvopotux"),
    ("\u03b7\u03c9\u03f2\u03f3\u03b2\u03bc", "nwcjBu"),
    ("\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f", "ABEZHlKMNO"),
    ("\u03a1\u03a4\u03a5\u03a7\u03f9\u037f", "PTYXCJ"),
    # Armenian
    ("\u0585\u057d\u0578\u0570\u0566\u0581\u0575\u0584\u054d\u0555\u053c", "ounhqgjpUOL"),
    # Cherokee
    ("\u13aa\u13f4\u13df\u13a0\u13ac\u13c0\u13bb\u13ab\u13e6\u13de\u13b7", "ABCDEGHJKLM"),
    ("\u13e2\u13a1\u13da\u13a2\u13d9\u13b3\u13c3", "PRSTVWZ"),
    # Latin letters that differ by a dot or a serif
    ("\u0131\u0269\u0237\u0251\u0261\u026a\u029f\u0274\u0280\u1d04\u1d0f\u1d1c", "iijaglLNRcou"),
    ("\u1d20\u1d21\u1d22\ua731\u1d0b\u1d0d\u1d07\u1d00\u0299\u029c\u1d18\u1d1b", "vwzskmeabhpt"),
    ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\u30fc\u2500", "-" * 10),
    ("\u2018\u2019\u02bc\u0060\u00b4\u02b9\u2032", "'" * 7),
)
SEEN_AS = {
    mark: seen
    for marks, as_ in _TABLE
    for mark, seen in zip(marks, as_ if len(as_) == len(marks) else as_ * len(marks), strict=True)
}
PAIRS = (("rn", "m"), ("vv", "w"))  # two letters that look like one
_DROPPED = re.compile(r"\s")


def alike(one: str, other: str) -> bool:
    """Whether two different names could be taken for one another.

    >>> alike("lyon", "LYON"), alike("lyon", "graz"), alike("lyon", "lyon")
    (True, False, False)
    """
    return one != other and bool({*_keys(one)} & {*_keys(other)})


def like(name: str, others: Iterable[str]) -> str:
    """The first of `others` that `name` could be taken for, or ""."""
    return next((other for other in others if alike(name, other)), "")


class Looks:
    """Names that were entered; which of them another could be taken for. Each is looked at once, so
    that a thousand names take a thousand looks."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], dict[str, None]] = {}  # in the order of entering

    def enter(self, name: str) -> None:
        for key in _keys(name):
            self._named.setdefault(key, {})[name] = None

    def drop(self, name: str) -> None:
        """Take a name out again; one that is not there is none."""
        for key in _keys(name):
            self._named.get(key, {}).pop(name, None)

    def like(self, name: str) -> str:
        """An entered name that `name` could be taken for, sooner one that reads as it does than one
        that looks as it does; or "".

        >>> known = Looks()
        >>> known.enter("lyon")
        >>> known.like("LYON"), known.like("lyon"), known.like("graz")
        ('lyon', '', '')
        """
        for key in _keys(name):
            for other in self._named.get(key, ()):
                if other != name:
                    return other
        return ""


def pairs_alike(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of different names the first of those that could be taken for one another, with each other
    one. Linear in the names, of which a stranger may send many."""
    seen: dict[tuple[str, str], list[str]] = {}
    for name in sorted({*names}):
        for key in _keys(name):
            seen.setdefault(key, []).append(name)
    yield from sorted({(some[0], other) for some in seen.values() for other in some[1:]})


def in_what(one: str, other: str) -> str:
    """Two names that are alike, and in what they differ.

    >>> in_what("Plate", "plate")
    "'Plate' and 'plate' differ only in capitals"
    """
    if one.casefold() == other.casefold():
        return f"{one!r} and {other!r} differ only in capitals"
    return f"{one!a:.200} and {other!a:.200} look alike"


def skeleton(name: str) -> str:
    """A name as it is seen: names of one skeleton look alike.

    >>> skeleton("LY\\N{CYRILLIC CAPITAL LETTER O}N-1") == skeleton("lyon-I")
    True
    """
    seen = _once(name)
    while (again := _once(seen)) != seen:  # a mark may join the letter that another was seen as
        seen = again
    return seen


def _once(name: str) -> str:
    seen = "".join(SEEN_AS.get(mark, _digit(mark)) for mark in _plain(name))
    seen = _plain(seen.casefold())
    for two, one in PAIRS:
        seen = seen.replace(two, one)
    return "".join(SEEN_AS.get(mark, mark) for mark in seen)


def _keys(name: str) -> Iterator[tuple[str, str]]:
    yield "read", _plain(_plain(name).casefold())
    yield "seen", skeleton(name)


def _plain(name: str) -> str:
    """NFKC, without white space and what nobody sees."""
    drawn = (
        mark
        for mark in unicodedata.normalize("NFKC", name)
        if not (_DROPPED.match(mark) or UNSEEN.match(mark) or unicodedata.category(mark) in UNDRAWN)
    )
    return unicodedata.normalize("NFKC", "".join(drawn))


UNDRAWN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # Unicode's categories of controls, joiners and blanks


def _digit(mark: str) -> str:
    """A digit of any script as the one it stands for, 0 and 1 as the letters they look like."""
    value = unicodedata.decimal(mark, None)
    return mark if value is None else SEEN_AS.get(str(value), str(value))
