"""`fedad serve` from its options to its end: what must be so before it listens, and uvicorn."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedad.errors import ConfigError, DataError
from fedad.inspection.hot_folder import check_folder
from fedad.models.gate import Gate
from fedad.models.store import models_folder
from fedad.plumbing.shown import for_log
from fedad.serving.access import Access, is_loopback, names_of, token_at
from fedad.serving.changes import Changes
from fedad.serving.drifting import Drifting
from fedad.serving.inspected import KEEP_DAYS, Inspected
from fedad.serving.metrics import ERRORS, WEBHOOK, Metrics
from fedad.serving.outbox import Outbox
from fedad.serving.served import Served
from fedad.serving.state import Serving
from fedad.serving.teachings import Teachings

MOST_CONNECTIONS = 256
GRACE = 10  # seconds that requests have to end once the server is told to
FOUND = "runs/latest/sites/*/models"  # where a run by `fedad run` leaves models

Note = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """The options of `fedad serve`."""

    models: Path
    host: str = "127.0.0.1"
    port: int = 8400
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()
    watch: Path | None = None
    webhook: str = ""
    mqtt: str = ""
    policy: Path | None = None
    product: str = ""
    keep_days: int = KEEP_DAYS
    knobs: Mapping[str, Any] = field(default_factory=dict)


def serve(settings: Settings, note: Note, say: Note) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        note: is told of what goes wrong, a line each.
        say: is told where the server is, once it judges.

    Raises:
        FedadError: something is not as it must be before anything listens.
    """
    import uvicorn

    from fedad.serving.app import app_of
    from fedad.serving.watched import Watched

    models = folder_of(settings.models)
    Gate.at(settings.policy)
    if settings.watch:
        check_folder(settings.watch)
    access, secured = access_of(settings, say)
    serving = serving_of(settings, models, access, note)
    watched = Watched(settings.watch, serving, note) if settings.watch else None
    with _stopped_after(serving, watched), _listening(settings) as listening:
        serving.start()
        _check_product(serving)
        if watched:
            watched.start()
        say(_where(settings, listening, serving, secured=secured))
        config = uvicorn.Config(
            app_of(serving, note),
            ssl_certfile=settings.certificate if secured else None,
            ssl_keyfile=settings.key if secured else None,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE,
        )
        _log_lines(note)
        with contextlib.suppress(KeyboardInterrupt):  # how uvicorn ends on a signal
            uvicorn.Server(config).run(sockets=[listening])


def serving_of(settings: Settings, models: Path, access: Access, note: Note) -> Serving:
    """All that a server is made of, not begun yet."""
    metrics = Metrics()
    served = Served(models, knobs=settings.knobs, note=note)
    changes = Changes(models, settings.policy, settings.knobs)

    def failed() -> None:
        metrics.count(ERRORS, kind="log")

    inspected = Inspected(models, settings.keep_days, note, failed)
    return Serving(
        served,
        changes,
        Teachings(changes, served, note),
        metrics,
        inspected,
        Drifting(inspected),
        access,
        settings.product,
        _outboxes(settings, metrics, note),
    )


def folder_of(models: Path) -> Path:
    """The folder of a site's models.

    Raises:
        DataError: there is none.
    """
    if models.is_dir():
        return models_folder(models)
    found = sorted(str(one) for one in Path().glob(FOUND))
    there = f"; there are {', '.join(found)}: name one with --models" if found else ""
    raise DataError(
        f"--models {models}: there is no such folder: fedad bank build NAME --site SITE --models "
        f"{models} makes one from a folder of good pictures, and an empty one can be taught from "
        f"the page{there}"
    )


def access_of(settings: Settings, say: Note) -> tuple[Access, bool]:
    """Who may ask, and whether connections are encrypted.

    Raises:
        ConfigError: others could reach it without a token or TLS, or a file is not what it must be.
    """
    loopback = is_loopback(settings.host)
    if (settings.certificate is None) != (settings.key is None):
        raise ConfigError("--certificate and --key: expected both, or none")
    secured = settings.certificate is not None
    if not loopback and not (settings.token_file and secured):
        lacking = [
            *(["--token-file"] if not settings.token_file else []),
            *(["--certificate and --key"] if not secured else []),
        ]
        raise ConfigError(
            f"--host {settings.host}: others could reach it: expected {' and '.join(lacking)} as "
            "well (a token file that is not there is made; fedad certs DIR --host NAME makes "
            "server/superlink.crt and .key in DIR), or --host 127.0.0.1"
        )
    called = [*settings.names, "" if loopback else settings.host]
    if settings.certificate and settings.key:
        called += _certified(settings.certificate, settings.key)
    return Access(_token(settings.token_file, say), names_of(called), loopback), secured


def _token(file: Path | None, say: Note) -> str:
    """The token that requests need; empty where none is asked for."""
    if file is None:
        return ""
    token, made = token_at(file)
    if made:
        say(f"the token that requests and the page need is in {file}")
    return token


def _certified(certificate: Path, key: Path) -> list[str]:
    """The names that a certificate is of.

    Raises:
        ConfigError: no certificate with its key.
    """
    from cryptography import x509

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"--certificate {certificate} --key {key}: expected a certificate and its key in PEM "
            f"({error})"
        ) from error
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName)


def _listening(settings: Settings) -> socket.socket:
    """The socket, before anything else takes time.

    Raises:
        ConfigError: another program has it, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--host {settings.host} --port {settings.port}: cannot be listened on ({error}): "
            "does another program have it?"
        ) from error


def _outboxes(settings: Settings, metrics: Metrics, note: Note) -> list[Outbox]:
    from fedad.serving.webhook import without_password

    found = []

    def failed() -> None:
        metrics.count(WEBHOOK)

    if settings.webhook:
        from fedad.serving.webhook import webhook

        send, to = webhook(settings.webhook), without_password(settings.webhook)
        found.append(Outbox(send, to, failed=failed, note=note))
    if settings.mqtt:
        from fedad.serving.mqtt import mqtt

        send, to = mqtt(settings.mqtt), without_password(settings.mqtt)
        found.append(Outbox(send, to, failed=failed, note=note))
    return found


@contextlib.contextmanager
def _stopped_after(serving: Serving, watched: Any) -> Any:
    """End what runs beside the requests, however the server ends."""
    try:
        yield
    finally:
        if watched:
            watched.stop()
        serving.stop()


def _check_product(serving: Serving) -> None:
    """Refuse a product that the model does not know, and none where it cannot be recognised."""
    if serving.product and (inspector := serving.served.inspector):
        inspector.product_of(serving.product)


def _where(settings: Settings, listening: socket.socket, serving: Serving, *, secured: bool) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    kind, port = "https" if secured else "http", listening.getsockname()[1]
    inspector = serving.served.inspector
    judges = "no model yet: teach one from the page"
    if inspector:
        judges = f"model {inspector.opened.name} judges {', '.join(inspector.products)}"
    return f"{kind}://{host}:{port}/  {judges}"


def _log_lines(note: Note) -> None:
    """What uvicorn has to say that is wrong, a line each and without a traceback."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(for_log(record.getMessage()))

    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [Lines(logging.WARNING)], False
        logger.setLevel(logging.WARNING)
