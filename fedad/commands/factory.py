"""The verbs of a platform engineer; `cli.py` adds them to the others. Nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedad.commands.preflight import Check

factory = typer.Typer()
preflight = typer.Typer(help="Before a run: is this machine ready?", no_args_is_help=True)
factory.add_typer(preflight, name="preflight")

Overrides = Annotated[
    list[str] | None, typer.Option("-c", "--set", metavar="KEY=VALUE", help="Set one knob.")
]
Keys = Annotated[Path, typer.Option("--keys", help="The folder of this machine's keys.")]
Superlink = Annotated[str, typer.Option(help="Its address, HOST:PORT.")]
Certificate = Annotated[Path, typer.Option("--ca", help="The authority's certificate, ca.crt.")]
Runs = Annotated[Path, typer.Option(help="Where run folders go.")]


@factory.command()
def certs(
    folder: Annotated[Path, typer.Argument(help="Where the keys go, a folder a machine.")],
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="A name or address of the server.")
    ] = None,
    sites: Annotated[list[str] | None, typer.Option("--site", help="A site's name.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Validity of the server's certificate.")] = 825,
) -> None:
    """Make an authority, the server's certificate and a key a site; later, keys of more sites."""
    from fedad.deploy.certificates import make_keys

    made = make_keys(folder, hosts=hosts or (), sites=sites or (), days=days)
    for path in made:
        print(path)
    print(
        f"\nKeep {folder / 'authority' / 'ca.key'} off the network: who has it can pose as the "
        f"server.\nEach other folder goes to its machine, and then: fedad register {folder}/server"
    )


@preflight.command("site")
def preflight_site(  # noqa: PLR0917 - options, which are named
    site: Annotated[str, typer.Option(help="This plant's name.")],
    keys: Keys,
    data: Annotated[Path, typer.Option(help="The folder of its images.")],
    output: Annotated[Path, typer.Option(help="Its own folder, for what never leaves.")],
    superlink: Superlink,
    policy: Annotated[
        Path | None, typer.Option(help="Its own policy, which node-config names.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Data, policy, weights, clock, disk, memory, keys and the way to the server; a line each."""
    from fedad.commands.preflight import site_checks
    from fedad.running.launch import read_config

    config = read_config(None, ["data.dataset=autovi", *(overrides or [])])
    _report(site_checks(config, site, keys, data, output, superlink, policy))


@preflight.command("server")
def preflight_server(
    keys: Keys, superlink: Superlink, proxy: Superlink, runs: Runs, overrides: Overrides = None
) -> None:
    """Certificate, secrets, disk, memory, SuperLink, and that the proxy shows the Fleet API."""
    from fedad.commands.preflight import server_checks
    from fedad.running.launch import read_config

    _report(server_checks(read_config(None, overrides or []), keys, superlink, proxy, runs))


@factory.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def supervise(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="After --: a program and its words.")],
    delay: Annotated[float, typer.Option(min=0.1, help="Seconds to the next start.")] = 5.0,
) -> None:
    """Start a program, and start it again whenever it ends; SIGTERM ends both."""
    from fedad.deploy.supervise import supervise as keep_running

    keep_running([*command, *context.args], delay=delay)


@factory.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def guard(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="After --: SuperExec and its words.")],
) -> None:
    """At a site: start its SuperExec, and let only apps run that the site's policy lists."""
    from fedad.commands.guard import guard as become

    become([*command, *context.args])


@factory.command()
def register(
    keys: Annotated[Path, typer.Argument(help="The server's folder of keys.")],
    superlink: Superlink = "localhost:8000",
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="A site; all of sites/*.pub if none.")
    ] = None,
) -> None:
    """On the server: tell the SuperLink the keys of the sites that may come."""
    from fedad.commands.submit import register_all

    for site, (number, is_new) in register_all(keys, superlink, sites or ()).items():
        told = f"{site} may come" if is_new else f"{site}: known already"
        print(f"{told}, its key has number {number}" if number else told)


@factory.command()
def unregister(
    who: Annotated[
        str, typer.Argument(help="A site, or the number that fedad register gave its key.")
    ],
    keys: Annotated[Path, typer.Option("--keys", help="The server's folder of keys.")],
    superlink: Superlink = "localhost:8000",
) -> None:
    """On the server: shut out a key that was lost or replaced."""
    from fedad.commands.submit import unregister as shut_out

    number = shut_out(keys, superlink, who)
    print(f"{who} may not come any more" + f" by the key of number {number}" * (who != number))


@factory.command()
def submit(  # noqa: PLR0917 - options, which are named
    config: Annotated[Path | None, typer.Argument(help="A TOML file; none with --resume.")] = None,
    superlink: Superlink = "localhost:8000",
    ca: Certificate = Path("keys/server/ca.crt"),
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(help="A run folder: ask only for what is missing.")
    ] = None,
) -> None:
    """On the server: run once over the sites that are up, and leave a run folder."""
    from fedad.commands.show import show_run
    from fedad.commands.submit import submit_run

    show_run(
        submit_run(config, overrides or [], superlink, ca, runs=runs.absolute(), resume=resume)
    )


@factory.command()
def federation(
    runs: Runs = Path("runs"),
    overrides: Overrides = None,
) -> None:
    """All that docker/compose.yaml starts, without Docker, and one run on the demo plants."""
    from fedad.commands.federation import run_federation
    from fedad.commands.show import show_run

    show_run(run_federation(overrides or [], runs.absolute()))


def _report(checks: Iterator[Check]) -> None:
    """A line a check, a fix where it failed; exit code 1 if any did."""
    failed = False
    for check in checks:
        failed = failed or not check.passed
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.told}")
        if not check.passed:
            print(f"     fix: {check.fix}")
    if failed:
        raise typer.Exit(1)
