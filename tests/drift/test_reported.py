"""A run's page and a site's own show what the site's server judged, and nothing where none did."""

import json

from tests.drift.lines import from_day, rows

TITLE = '<section id="drift"><h2>Drift</h2>'


def test_the_page_of_a_site_and_of_a_run_has_its_drift(fedad, overlay, tmp_path):
    code, err, _ = fedad("run", overlay, "--via", "local", "--runs", tmp_path / "runs")
    assert code == 0, err
    run = (tmp_path / "runs" / "latest").resolve()
    site = run / "sites" / "lyon"
    for folder in (run, site):
        assert fedad("report", folder)[0] == 0
        assert TITLE not in (folder / "report.html").read_text()
    inspected = site / "models" / "inspected"
    inspected.mkdir(parents=True)
    told = rows(change=from_day(25, every=(1, 0.93, 1)))
    text = "".join(json.dumps(one) + "\n" for one in told)
    (inspected / "2026-03-02.jsonl").write_text(text)
    for folder, where in ((run, "lyon"), (site, "site")):
        code, err, _ = fedad("report", folder)
        assert code == 0, err
        page = (folder / "report.html").read_text()
        assert page.count(TITLE) == 1
        assert "the camera, its lens or its lamp" in page
        assert page.count("drift by day</title>") == 3
        drawn = {path.name for path in (folder / "plots").glob("drift-*")}
        assert {f"drift-{where}-bolt.svg", f"drift-{where}-bolt.csv"} <= drawn
