"""A site's policy on a real federation: an app that it does not list runs nothing there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fedad.deploy.federation import Federation
from fedad.deploy.services import Kit
from fedad.policy import audit_of
from fedad.running.flower import app_digest
from tests.reliability.harness import VICTIM, Attempt

pytestmark = pytest.mark.reliability


class Guarded(Federation):
    """One site has a policy."""

    @property
    def policy(self) -> Path:
        return self.work / "policy.toml"

    def kit(self, site: str) -> Kit:
        kit = super().kit(site)
        return kit._replace(policy=self.policy) if site == VICTIM else kit


def test_only_a_listed_app_runs_at_a_site(template, settings, tmp_path, figure):
    patient = {f"{stage}_seconds": 150.0 for stage in ("enrol", "train", "evaluate")}
    settings = replace(settings, round=replace(settings.round, **patient))
    work = tmp_path / "up"
    work.mkdir()
    (work / "policy.toml").write_text(f'apps = ["{"0" * 64}"]\n')
    with template.federation(work, Guarded) as up:
        first = Attempt(up, settings, tmp_path / "first").finish(500)
        refused = [one for one in audit_of(up.output(VICTIM)) if one["event"] == "refused"]
        up.policy.write_text(f'apps = ["{app_digest()}"]\n')
        second = Attempt(up, settings, tmp_path / "second").finish(500)
    assert refused[0]["told"].split()[-1] == app_digest()
    assert set(first["missing"]) == {VICTIM}
    assert str(tmp_path) not in first["missing"][VICTIM]["reason"]
    assert not second["missing"]
    figure("site policy", "an app that is not listed is refused", "refused; listed, it runs")
