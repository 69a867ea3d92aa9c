"""A site's policy on a real federation: an app that it does not list runs nothing there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedad.deploy.federation import Federation
from fedad.policy import audit_of
from tests.reliability.harness import VICTIM, Attempt

pytestmark = pytest.mark.reliability


class Guarded(Federation):
    """One site has a policy, and its SuperExec is started by `fedad guard`."""

    @property
    def policy(self) -> Path:
        return self.work / "policy.toml"

    def commands(self) -> dict[str, list[str]]:
        found = super().commands()
        node, own = f"{VICTIM}-supernode", f"{VICTIM}-superexec"
        found[node] = [
            f'{word} policy="{self.policy}"' if word.startswith("site=") else word
            for word in found[node]
        ]
        at = found[own].index("--") + 1
        found[own] = [*found[own][:at], *found[own][: at - 2], "guard", "--", *found[own][at:]]
        return found


def test_only_a_listed_app_runs_at_a_site(template, settings, tmp_path, figure):
    patient = {f"{stage}_seconds": 150.0 for stage in ("enrol", "train", "evaluate")}
    settings = replace(settings, round=replace(settings.round, **patient))
    work = tmp_path / "up"
    work.mkdir()
    (work / "policy.toml").write_text(f'apps = ["{"0" * 64}"]\n')
    with template.federation(work, Guarded) as up:
        first = Attempt(up, settings, tmp_path / "first").finish(500)
        refused = [one for one in audit_of(up.output(VICTIM)) if one["event"] == "refused"]
        app = refused[0]["told"].split()[-1]
        up.policy.write_text(f'apps = ["{app}"]\n')
        second = Attempt(up, settings, tmp_path / "second").finish(500)
    assert set(first["missing"]) == {VICTIM}
    assert str(tmp_path) not in first["missing"][VICTIM]["reason"]
    assert not second["missing"]
    figure("site policy", "an app that is not listed is refused", "refused; listed, it runs")
