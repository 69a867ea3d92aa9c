"""A thousand hostile texts, the same each time; every one is put together from what does harm."""

from __future__ import annotations

import random

PARTS = (
    "\x1b[2J\x1b[H",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x00",
    "\x08\x08\x08",
    "\x7f",
    "\r",
    "\n",
    "\t",
    "\r\nINFO : site lyon has judged its images",
    "\u202egpj.exe",
    "\u2066\u2069",
    "\u200b",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\u3164",
    "\udc80",
    "[/]",
    "[bold]",
    "[link=http://evil.example]x[/link]",
    ":smile:",
    "=1+cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\uff1d1+1",
    "'=1",
    ' "=1',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "</script><script>alert(1)//",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "| a | b |",
    "`code`",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/p.png)",
    "https://evil.example",
    "www.evil.example",
    "@everyone",
    "**bold** _it_ ~~no~~ $x$",
    "\\|",
    "\\input{/etc/passwd}",
    "\\write18{id}",
    "^^5cinput",
    "$$%#&_{}~^",
    "%s%n%d{0}{x.__class__}",
    "${jndi:ldap://x}",
    "graz",
    "Lyon 2",
    "e\u0301\u00e9\u4e2d",
    "\U0001f600",
    "a" * 400,
)


def texts(count: int = 1000) -> list[str]:
    """Every part alone, before and behind a name, and random ones together; no two alike."""
    draw = random.Random(12)
    found = dict.fromkeys([*PARTS, *(f"{p}graz" for p in PARTS), *(f"graz{p}" for p in PARTS)])
    while len(found) < count:
        found["".join(draw.choices(PARTS, k=draw.randint(2, 5)))] = None
    return list(found)[:count]


HOSTILE = texts()
