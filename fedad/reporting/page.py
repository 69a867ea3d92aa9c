"""Sections -> one HTML file that needs nothing else: no network, no font, no library."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from fedad import __version__
from fedad.plumbing.shown import for_html
from fedad.reporting.markup import Section
from fedad.reporting.script import SCRIPT
from fedad.reporting.style import STYLE

LARGEST = 10 * 10**6  # bytes of a page


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls the one style sheet or script that it lets run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Pictures in the page, our script and our style: whatever else got into it neither runs nor loads.
POLICY = (
    f"default-src 'none'; img-src data:; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; "
    "base-uri 'none'; form-action 'none'"
)


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    links = "".join(f'<a href="#{one.id}">{for_html(one.title)}</a>' for one in sections)
    body = "".join(
        f'<section id="{one.id}"><h2>{for_html(one.title)}</h2>{one.body}</section>'
        for one in sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="fedad {__version__}">'
        '<link rel="icon" href="data:,">'
        f"<title>{for_html(title)}</title><style>{STYLE}</style></head><body>"
        f'<header><h1>{for_html(title)}</h1><p class="soft">{for_html(subtitle)}</p></header>'
        f'<nav><div>{links}<button type="button" id="theme">light / dark</button></div></nav>'
        f'<main>{body}</main><div id="tip" class="tip" role="status" hidden></div>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )
