"""The shape of the house: which way imports point, who knows Flower, what is never called."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fedad.config import Config, read

ROOT = Path(__file__).parents[1]
# Each may import from those before it, and from its own.
FLOW = [
    ["errors", "__init__"],
    ["types", "seeding", "plugins", "files", "progress", "images", "faults"],
    ["config"],
    ["compute", "capacity", "npy", "bank_file", "reply", "policy", "journal"],
    ["datasets"],
    ["partition"],
    ["looks"],
    ["sifting"],
    ["embedders"],
    ["probe"],
    ["coresets"],
    ["aggregation"],
    ["scoring"],
    ["attacks"],
    ["methods"],
    ["metrics"],
    ["judging"],
    ["calibration"],
    ["covering"],
    ["findings"],
    ["admission"],
    ["round"],
    ["yardsticks"],
    ["reporting"],
    ["wire"],
    ["runner"],
    ["deploy"],
    ["launch"],
    ["compare"],
    ["commands"],
    ["cli"],
]
MODULES = sorted((ROOT / "fedad").rglob("*.py"))
SOURCES = [
    *MODULES,
    *sorted((ROOT / "server_app").glob("*.py")),
    *(ROOT / "client_app").glob("*.py"),
]


def place(module: str) -> int:
    """How far down the flow `fedad.<module>` stands."""
    (at,) = (k for k, names in enumerate(FLOW) if module in names)
    return at


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(path: Path) -> str:
    return path.relative_to(ROOT / "fedad").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_the_flow(path):
    for name in imported(path):
        words = name.split(".")
        if words[0] == "fedad" and len(words) > 1 and words[1] != "__version__":
            assert place(words[1]) <= place(part(path)), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_wire_knows_flower(path):
    words = {name.split(".")[0] for name in imported(path)}
    assert part(path) == "wire" or "flwr" not in words
    assert part(path) == "launch" or not words & {"server_app", "client_app"}


UNPICKLING = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "jsonpickle"}
RUNNING = {"eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "joblib.load"}
RUNNING |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"}


def dangers(source: str, name: str) -> list[str]:
    """What in a file's source could run what a file or a message brings."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = {f"{module}.{one.name}".lstrip(".") for one in node.names}
            found += [one for one in names if one.split(".")[0] in UNPICKLING]
            found += sorted(names & {"torch.load", "numpy.load", "yaml.load"})
        if isinstance(node, ast.Call):
            called, words = ast.unparse(node.func), ast.unparse(node)
            allowed = name == "weights.py" and "weights_only=True" in words
            found += [called] * (called in RUNNING)
            found += [called] * (called.endswith("torch.load") and not allowed)
            found += [words] * ("allow_pickle=True" in words or "shell=True" in words)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_or_evaluates(path):
    assert dangers(path.read_text(), path.name) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import dill as quiet",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_gate_sees_each_of_these(source):
    assert dangers(source, "weights.py")


def test_every_knob_stands_in_pyproject_with_its_default():
    flower = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
    listed = {f"{t}.{key}": value for t, knobs in flower.items() for key, value in knobs.items()}
    assert listed == Config().flat()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_configuration_reads(path):
    tables = tomllib.loads(path.read_text())
    read({f"{t}.{key}": value for t, knobs in tables.items() for key, value in knobs.items()})
    assert path.read_text().startswith("# ")


def test_metrics_and_help_need_neither_flower_nor_torch():
    runs_without("import fedad.metrics, fedad.cli, fedad.datasets.autovi", "flwr", "torch", "timm")


def test_a_server_that_keeps_all_rows_needs_neither_torch_nor_timm():
    """Importing torch takes more memory than all else that such a server does."""
    code = """
import numpy as np
import server_app.app
from fedad.config import read
from fedad.round import merge
from tests.conftest import bank_of

uploads = [bank_of(np.eye(4), name) for name in ("graz", "lyon")]
assert len(merge(read({}), uploads)) == 8
"""
    runs_without(code, "torch", "timm")


def runs_without(code, *packages):
    guard = f"""
import sys

class No:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in {packages}:
            raise ImportError(name)

sys.meta_path.insert(0, No())
"""
    subprocess.run([sys.executable, "-c", guard + code], check=True, cwd=ROOT)
