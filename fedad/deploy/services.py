"""The command of each process of a federation: the same in `docker/compose.yaml` and on loopback.

    site                                  | server
    SuperNode -> (TLS, signed requests) --|-> proxy -> SuperLink <- SuperExec -> ServerApp
    SuperNode <- SuperExec -> ClientApp   |

Everything runs in Flower's process isolation with a database, so that a SuperLink that is killed
takes nothing with it. The proxy lets sites reach the Fleet API alone: who reaches the rest of the
SuperLink's port may run code on every machine of the federation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fedad.config import AT_THE_SITE, Config, Value

SERVER_NAME = "superlink"  # which every server certificate of ours holds
SUPERLINK_PORT, PROXY_PORT, SUPERNODE_PORT = 8000, 8443, 9094
BODY_MIB = 16  # the most that one request may carry; Flower cuts arrays into 5 MiB pieces


class Listen(NamedTuple):
    """Where a process takes connections."""

    host: str
    port: int


class Kit(NamedTuple):
    """A site, and the files that it has."""

    site: str
    keys: Path  # ca.crt, node.key, superexec.secret
    data: Path
    output: Path
    policy: Path | None = None  # what it lets a run do; else the defaults
    settings: Mapping[str, Value] = MappingProxyType({})  # knobs of `AT_THE_SITE` not as shipped


def superlink(keys: Path, database: Path, listen: Listen) -> list[str]:
    """The server's hub: keeps messages and runs in `database`, starts nothing itself."""
    return [
        *("flower-superlink", "--isolation", "process", "--enable-supernode-auth"),
        *("--ssl-ca-certfile", str(keys / "ca.crt")),
        *("--ssl-certfile", str(keys / "superlink.crt")),
        *("--ssl-keyfile", str(keys / "superlink.key")),
        *("--superexec-auth-secret-file", str(keys / "superexec.secret")),
        *("--database", str(database), "--disable-runtime-dependency-installation"),
        *("--host", listen.host, "--port", str(listen.port)),
    ]


def superexec(keys: Path, superlink_address: str) -> list[str]:
    """Starts a ServerApp for each run."""
    return [
        *("flower-superexec", "--runtime-api-address", superlink_address),
        *("--root-certificates", str(keys / "ca.crt")),
        *("--superexec-auth-secret-file", str(keys / "superexec.secret")),
    ]


def proxy(configuration: Path) -> list[str]:
    """nginx, in the foreground, with what `proxy_configuration` gives."""
    return ["nginx", "-e", "stderr", "-c", str(configuration)]


def supernode(kit: Kit, superlink_address: str, listen: Listen) -> list[str]:
    """A site's side of the line: fetches messages, and hands them to its own SuperExec."""
    node = f'site="{kit.site}" data-dir="{kit.data}" output-dir="{kit.output}"'
    node += f' policy="{kit.policy}"' if kit.policy else ""
    for key, value in kit.settings.items():
        node += f" {key.partition('.')[2]}={json.dumps(value)}"
    return [
        *("flower-supernode", "--isolation", "process", "--superlink", superlink_address),
        *("--root-certificates", str(kit.keys / "ca.crt")),
        *("--auth-supernode-private-key", str(kit.keys / "node.key")),
        *("--superexec-auth-secret-file", str(kit.keys / "superexec.secret")),
        *("--host", listen.host, "--port", str(listen.port), "--node-config", node),
    ]


def site_superexec(kit: Kit, supernode_address: str) -> list[str]:
    """Starts a ClientApp for each message; the one process of a site that sees its images."""
    return [
        *("flower-superexec", "--insecure", "--runtime-api-address", supernode_address),
        *("--superexec-auth-secret-file", str(kit.keys / "superexec.secret")),
    ]


def settings_of(config: Config) -> dict[str, Value]:
    """What node-config has to say for a site to embed as `config` does."""
    asked, shipped = config.flat(), Config().flat()
    return {key: asked[key] for key in AT_THE_SITE if asked[key] != shipped[key]}


def guarded(kit: Kit, command: Sequence[str], fedad: Sequence[str] = ("fedad",)) -> list[str]:
    """A site's SuperExec under `fedad guard`, which looks at each task, app and its SuperNode."""
    return [*fedad, "guard", "--output", str(kit.output), "--", *command]


def supervised(command: Sequence[str], fedad: Sequence[str] = ("fedad",)) -> list[str]:
    """`command` under `fedad supervise`, which starts it again when it ends."""
    return [*fedad, "supervise", "--", *command]


def proxy_configuration(
    keys: Path, scratch: Path, listen: Listen, superlink_address: str, user: str = ""
) -> str:
    """nginx's configuration: TLS on both sides, the Fleet API alone, bodies up to 16 MiB.

    Args:
        keys: the server's; `sites/*.known` are those that `fedad certs` has made a key for.
        scratch: a folder on a disk that nginx may write to.
        superlink_address: host:port; a name has to be one that Docker knows.
        user: who nginx is, where root starts it: by itself it becomes somebody without rights to
            `scratch`.
    """
    return _NGINX % {
        "user": f"user {user};\n" if user else "",
        "keys": keys,
        "scratch": scratch,
        "listen": f"{listen.host}:{listen.port}",
        "superlink": superlink_address,
        "name": SERVER_NAME,
        "body": BODY_MIB,
    }


# Figures: tests/redteam/test_proxy.py. A SuperNode has two or three connections, asks every three
# seconds, and sends and takes pieces of 5 MiB one after the other; it tries again after a 503, and
# after no other refusal.
_NGINX = """\
# What sites see of the server. Made by fedad/deploy/services.py; a test compares the two.
%(user)sdaemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid %(scratch)s/nginx.pid;
error_log stderr warn;

events {
    worker_connections 4096;  # each may take 75 KiB, half-done handshakes do
}

http {
    access_log off;
    server_tokens off;
    client_body_temp_path %(scratch)s/body;
    proxy_temp_path %(scratch)s/proxy;
    fastcgi_temp_path %(scratch)s/fastcgi;
    uwsgi_temp_path %(scratch)s/uwsgi;
    scgi_temp_path %(scratch)s/scgi;

    # Whose public key a request carries, among those that were made for sites. Nobody else knows
    # these keys, though only the SuperLink sees whether the signature is theirs too. All others
    # together are one stranger, who keeps no site from its turn.
    map_hash_bucket_size 512;
    map $http_flwr_public_key $site {
        default "";
        include %(keys)s/sites/*.known;
    }
    map $site $stranger {
        default "";
        "" stranger;
    }
    map $site $address {
        default "";
        "" $binary_remote_addr;
    }

    # Requests at a time whose headers have come: of each site, of a stranger's address, of all
    # strangers. This also bounds the connections to the SuperLink, and the disk: 16 MiB each.
    limit_conn_zone $site zone=site:1m;
    limit_conn_zone $address zone=address:4m;
    limit_conn_zone $stranger zone=stranger:64k;
    limit_conn site 8;
    limit_conn address 16;
    limit_conn stranger 64;
    limit_conn_log_level info;
    limit_req_zone $site zone=asked:1m rate=200r/s;
    limit_req_zone $address zone=tried:4m rate=20r/s;
    limit_req zone=asked burst=1000 nodelay;
    limit_req zone=tried burst=40 nodelay;
    limit_req_log_level info;

    # Before its headers have come, a connection has seconds and a few kilobytes.
    client_header_timeout 10s;  # the handshake, then the headers
    client_header_buffer_size 2k;
    large_client_header_buffers 2 4k;
    client_body_timeout 15s;  # from one read to the next, as the following
    send_timeout 15s;
    keepalive_timeout 15s;
    reset_timedout_connection on;
    lingering_close off;

    server {
        listen %(listen)s ssl backlog=4096;
        ssl_certificate %(keys)s/superlink.crt;
        ssl_certificate_key %(keys)s/superlink.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_buffer_size 4k;

        # A body is refused by its length before any of it is read, and the SuperLink, which reads
        # a request into memory before it asks who sends it, sees only whole ones. Until then a
        # body lies on a disk, in a file without a name.
        client_max_body_size %(body)dm;
        client_body_buffer_size 16k;

        # A name in a variable is looked up again, by Docker's own server of names: a SuperLink
        # that is made anew may have another address.
        resolver 127.0.0.11 valid=10s ipv6=off;
        set $superlink %(superlink)s;

        location /v1/fleet/ {
            proxy_pass https://$superlink;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_trusted_certificate %(keys)s/ca.crt;
            proxy_ssl_verify on;
            proxy_ssl_name %(name)s;
            proxy_max_temp_file_size 0;
            proxy_connect_timeout 5s;
            proxy_read_timeout 120s;
        }

        location / {
            return 403;
        }
    }
}
"""
