"""Sections -> one HTML file that needs nothing else: no network, no font, no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fedad import __version__
from fedad.reporting.markup import Section
from fedad.reporting.script import SCRIPT
from fedad.reporting.style import STYLE

LARGEST = 10 * 10**6  # bytes of a page


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    links = "".join(f'<a href="#{one.id}">{escape(one.title)}</a>' for one in sections)
    body = "".join(
        f'<section id="{one.id}"><h2>{escape(one.title)}</h2>{one.body}</section>'
        for one in sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="fedad {__version__}">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p></header>'
        f'<nav><div>{links}<button type="button" id="theme">light / dark</button></div></nav>'
        f'<main>{body}</main><div id="tip" class="tip" role="status" hidden></div>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )
