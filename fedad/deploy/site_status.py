"""How a plant stands: what is up, what ran last, which model judges, what may still be spent."""

from __future__ import annotations

import ssl
from pathlib import Path

from fedad.deploy.expiry import of_server
from fedad.deploy.reach import Server
from fedad.deploy.status import Status, certificates, disk, versions
from fedad.errors import DataError, FedadError
from fedad.messages.file import checksum
from fedad.models.store import current, models_folder, names
from fedad.permits.audit import audit_of
from fedad.plumbing.files import read_json
from fedad.plumbing.journal import NAME as JOURNAL
from fedad.plumbing.moments import utc_text

REFUSALS = 3  # of the last run, that are told
MODEL, PASSPORT, GATE = "model.safetensors", "passport.json", "gate.json"  # as models/kept.py has


def site_status(
    keys: Path, output: Path, superlink: str, supernode: str = "", ledger: Path | None = None
) -> Status:
    """What is up, the last run, the current model, certificates, ledgers and disk.

    Args:
        keys: the site's folder of keys.
        output: its own folder.
        superlink: what sites see of the server, HOST:PORT; "" does not ask.
        supernode: where its SuperNode listens, HOST:PORT; "" does not ask.
        ledger: the folder of its ledgers; below `output` if not told.
    """
    certified, ending = certificates({"the authority": keys / "ca.crt"})
    up, away = _up(keys, superlink, supernode)
    room, low = disk(output)
    model, unread = _model(output)
    spent, unspent = _ledgers(ledger or output / "ledger")
    return {
        "machine": "site",
        "time": utc_text(),
        "versions": versions(),
        "up": up,
        "run": _run(output),
        "model": model,
        "certificates": certified,
        "ledgers": spent,
        "disk": room,
        "warnings": [*away, *ending, *unread, *unspent, *low],
    }


def _up(keys: Path, superlink: str, supernode: str) -> tuple[dict[str, str], list[str]]:
    """Who answers, in words, and who does not."""
    up, away = dict[str, str](), list[str]()
    if superlink:
        server = Server(superlink, keys / "ca.crt")
        try:
            end = of_server(server)
            up["server"] = f"{superlink} answers; {end.told()}"
        except (FedadError, OSError, ssl.SSLError) as error:
            up["server"] = "does not answer as it should"
            away.append(f"server: {superlink}: {str(error).removeprefix(f'{superlink}: ')}")
    if supernode:
        try:
            Server(supernode, keys / "ca.crt").knock()
            up["SuperNode"] = f"{supernode} answers"
        except FedadError as error:
            up["SuperNode"] = "does not answer"
            away.append(f"SuperNode: {error}")
    return up, away


def _run(output: Path) -> Status | None:
    """The run that this site last let in, by its audit."""
    lines = audit_of(output)
    begun = [one for one in lines if one["event"] == "begun"]
    if not begun:
        return None
    last = begun[-1]
    run = str(last.get("run", ""))
    own = [one for one in lines if one.get("run") == last.get("run")]
    answered = [str(one.get("stage", "")) for one in own if one["event"] == "answered"]
    refused = [one for one in own if one["event"] == "refused"]
    outcome = "answered" if answered else "begun"
    told = [f"{', '.join(dict.fromkeys(answered))}"] if answered else []
    told += [f"refused {one.get('line')}: {one.get('told')}" for one in refused[-REFUSALS:]]
    return {
        "run": run.partition("/")[0],
        "flower": run.partition("/")[2],
        "time": utc_text(float(last["time"])),
        "outcome": outcome,
        "told": "; ".join([*told, f"begun {utc_text(float(last['time']))}"]),
        "answered": list(dict.fromkeys(answered)),
        "refused": len(refused),
    }


def _model(output: Path) -> tuple[Status | None, list[str]]:
    """The model that judges, and what is to be said of those that wait."""
    folder = models_folder(output)
    try:
        name = current(folder)
        if name is None:
            kept = len(names(folder))
            return None, [f"{folder}: {kept} models wait for fedad model accept"] if kept else []
        passport = read_json(folder / name / PASSPORT, "the passport of a model")
        newest = names(folder)[-1]
        told = f"kept as {name}, made {passport['made']}, {passport['source']}"
        waits = newest != name and not _accepted(folder / newest)
        return {
            "name": name,
            "sha256": checksum(folder / name / MODEL),
            "sites": list(passport["sites"]),
            "products": list(passport["products"]),
            "made": passport["made"],
            "source": passport["source"],
            "told": told,
        }, [f"model {newest} waits: fedad model list says why"] if waits else []
    except (FedadError, OSError, KeyError) as error:
        return None, [str(error)]


def _accepted(folder: Path) -> bool:
    """Whether the gate let a model in; without a word of it nobody asked."""
    file = folder / GATE
    return not file.exists() or bool(read_json(file, "what a gate said").get("accepted"))


def _ledgers(root: Path) -> tuple[list[Status], list[str]]:
    """What is left of each product's budget."""
    found, warnings = list[Status](), list[str]()
    if next(root.glob(f"*/*/{JOURNAL}"), None) is None:
        return found, warnings
    from fedad.dp.ledger import ledgers, read_at  # which brings scipy

    for path in ledgers(root):
        try:
            one = read_at(path)
            found.append(
                {
                    "product": one.terms.product,
                    "epsilon": one.terms.epsilon,
                    "left": one.left,
                    "delta": one.terms.delta,
                    "releases": len(one.debits),
                }
            )
            if one.left <= 0:
                warnings.append(f"{path}: the budget of {one.terms.product} is spent")
        except (DataError, FedadError) as error:
            warnings.append(str(error))
    return found, warnings
