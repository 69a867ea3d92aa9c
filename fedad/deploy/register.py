"""Which sites may come: tell a SuperLink their keys, or shut one out; on the server."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fedad.deploy.certificates import same_key
from fedad.deploy.link import KnownError, Link, LinkError
from fedad.errors import DataError
from fedad.plumbing.alike import like
from fedad.wire import Known


class Registered(NamedTuple):
    """Flower's number of a site's key, "" where it does not say; and whether it is new there."""

    number: str
    is_new: bool


def register_all(keys: Path, superlink: str, sites: Sequence[str]) -> dict[str, Registered]:
    """Let sites come by their public keys.

    Args:
        keys: the server's folder of keys, which has `sites/<site>.pub`.
        superlink: HOST:PORT.
        sites: which; all of `sites/` if none is named.

    Raises:
        DataError: no such key, one that was shut out, or a name that could be taken for another
            that is registered: then nobody is.
        LinkError: the SuperLink cannot be reached.
    """
    paths = {path.stem: path for path in sorted((keys / "sites").glob("*.pub"))}
    if unknown := [site for site in sites if site not in paths] or (["*"] if not paths else []):
        raise DataError(f"{keys / 'sites' / unknown[0]}.pub: there is no such key: see fedad certs")
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        link = Link(superlink, keys / "ca.crt", Path(scratch))
        check_names(keys, sites or [*paths], [o.site for o in _listed(link) if not o.shut_out])
        return {site: _registered(link, paths[site], site) for site in sites or paths}


def check_names(keys: Path, sites: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that people would take for one another: an operator reads them in every table.

    Args:
        sites: to be registered.
        known: that are registered already.

    Raises:
        DataError: naming the site and the one that it could be taken for.
    """
    for place, site in enumerate(sites):
        if twin := like(site, [*known, *sites[:place]]):
            raise DataError(
                f"{keys / 'sites' / site}.pub: {site!r} could be taken for {twin!r}, which "
                f"{'is registered' if twin in known else 'is to be registered too'}: they differ "
                "by case, spaces or letters that look alike: give one of them another name"
            )


def unregister_old(keys: Path, superlink: str, site: str) -> list[str]:
    """Shut out every key of a site but the one in the server's folder; return their numbers.

    Raises:
        DataError: that one may not come, or it is the only one.
        LinkError: the SuperLink cannot be reached.
    """
    path = keys / "sites" / f"{site}.pub"
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        link = Link(superlink, keys / "ca.crt", Path(scratch))
        own = [one for one in link.known() if one.site == site and not one.shut_out]
        old = [one.number for one in own if not same_key(one.key, path)]
        if len(old) == len(own):
            raise DataError(f"{path}: {site} may not come by this key yet: fedad register first")
        if not old:
            raise DataError(f"{path}: {site} may come by this key alone: no other is to shut out")
        for number in old:
            link.unregister(number)
    return old


def unregister(keys: Path, superlink: str, who: str) -> str:
    """Shut out whoever has the key of a site, or of a number; return the number.

    Raises:
        DataError: no key of this site is known, or several are.
        LinkError: the SuperLink cannot be reached, or knows no such number.
    """
    with tempfile.TemporaryDirectory(prefix="fedad-") as scratch:
        link = Link(superlink, keys / "ca.crt", Path(scratch))
        number = who if who.isdecimal() else _number(link.known(), who, keys)
        link.unregister(number)
    return number


def _registered(link: Link, key: Path, site: str) -> Registered:
    try:
        return Registered(link.register(key, site), is_new=True)
    except KnownError:
        known = [one for one in _listed(link) if same_key(one.key, key)]
    if any(one.shut_out for one in known):
        raise DataError(f"{key}: this key was shut out for good: fedad certs makes another")
    return Registered(known[0].number if known else "", is_new=False)


def _listed(link: Link) -> list[Known]:
    """The keys that a SuperLink knows, or none where it does not list them."""
    try:
        return link.known()
    except LinkError:
        return []


def _number(known: Sequence[Known], site: str, keys: Path) -> str:
    """The number of the one key that a site may come by."""
    own = [one for one in known if one.site == site and not one.shut_out]
    if len(own) == 1:
        return own[0].number
    if not own:
        names = sorted({one.site for one in known if one.site and not one.shut_out})
        raise DataError(f"{site}: no such site may come: there are {', '.join(names) or 'none'}")
    path = keys / "sites" / f"{site}.pub"
    numbers = [f"{one.number} ({path})" if same_key(one.key, path) else one.number for one in own]
    raise DataError(f"{site}: it may come by several keys, name a number: {', '.join(numbers)}")
