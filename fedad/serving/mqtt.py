"""Verdicts published to an MQTT broker (the extra `mqtt`): `mqtts://NAME:PASSWORD@HOST/TOPIC`."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from fedad.errors import ConfigError
from fedad.serving.outbox import Send, UndeliveredError

SECONDS = 5.0  # for the broker's word that it has a message
PORTS = {"mqtt": 1883, "mqtts": 8883}
QUALITY = 1  # of service: at least once


def mqtt(url: str) -> Send:
    """What publishes a message to the topic that an address names.

    Raises:
        ConfigError: no address of that kind, or paho-mqtt is not installed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"--mqtt {url}: {error}") from error
    topic = unquote(parts.path.lstrip("/"))
    if parts.scheme not in PORTS or not parts.hostname or not topic or {*"#+"} & {*topic}:
        raise ConfigError(
            f"--mqtt {url}: expected an address such as mqtts://broker.plant/line-4/verdicts"
        )
    try:
        from paho.mqtt import client as paho
    except ImportError as error:
        raise ConfigError(
            "--mqtt: paho-mqtt is not installed: pip install 'fedad[mqtt]'"
        ) from error
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if parts.scheme == "mqtts":
        client.tls_set()
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    client.connect_timeout = SECONDS
    host, at = parts.hostname, port or PORTS[parts.scheme]
    begun = False

    def send(message: bytes) -> None:
        nonlocal begun
        try:
            if not begun:
                client.connect(host, at)
                client.loop_start()
                begun = True
            told = client.publish(topic, message, qos=QUALITY)
            told.wait_for_publish(SECONDS)
            taken = told.is_published()
        except (OSError, ValueError, RuntimeError) as error:
            raise UndeliveredError(f"{type(error).__name__} ({error})") from error
        if not taken:
            # The client keeps the message and sends it once the broker is there again.
            raise UndeliveredError(f"no answer within {SECONDS:g} s", again=False)

    return send
