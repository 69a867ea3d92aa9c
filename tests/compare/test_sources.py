"""Changed code is another digest, another word in a comment or docstring is not."""

from pathlib import Path

from fedad.compare.sources import _sources, digest

ROOT = Path(__file__).parents[2]


def test_code_counts_and_comments_do_not(tmp_path):
    path = tmp_path / "code.py"

    def told(text):
        path.write_text(text)
        return digest([path])

    plain = told("x = 1\n")
    assert told("# why\nx = 1  # so\n\n") == plain
    assert told('"""What it is."""\nx = 1\n') == plain
    assert told("x = 2\n") != plain
    assert told("def f():\n    'why'\n    return 1\n") == told("def f():\n    return 1\n")


def test_what_a_run_is_made_by_counts_and_what_only_reads_it_does_not():
    found = {path.relative_to(ROOT).as_posix() for path in _sources(ROOT)}
    assert {"fedad/round.py", "server_app/strategy.py", "client_app/site.py"} <= found
    assert {"fedad/reporting/per_image.py", "fedad/evaluation/counts.py"} <= found
    assert "fedad/compare/running.py" in found  # yardsticks are run there
    assert "fedad/running/overlay.py" in found
    assert not {"fedad/reporting/plots.py", "fedad/compare/pareto.py"} & found
    assert not {"fedad/cli.py", "fedad/commands/run.py", "fedad/deploy/submit.py"} & found
