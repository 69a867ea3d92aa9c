"""The shape of the house: which way imports point, who knows Flower, what is never called."""

import ast
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fedad.config import every_knob, read

ROOT = Path(__file__).parents[1]
# Each may import from those before it, and from its own.
FLOW = [
    ["errors", "__init__"],
    ["seeding", "plugins"],
    ["plumbing"],
    ["config"],
    ["permits"],
    ["policy"],
    ["messages"],
    ["types"],
    ["images"],
    ["drawing"],
    ["datasets"],
    ["partition"],
    ["embedders"],
    ["defects", "descriptors"],
    ["coresets"],
    ["banks"],
    ["dp"],
    ["aggregation", "averaging"],
    ["search"],
    ["scoring"],
    ["attacks"],
    ["privacy"],
    ["ensembles", "members", "methods"],  # a method may be a member of another, which is one
    ["evaluation"],
    ["metrics"],
    ["leakage"],
    ["judging"],
    ["round"],
    ["yardsticks"],
    ["drift"],
    ["reporting"],
    ["wire"],
    ["running"],
    ["models"],
    ["inspection"],
    ["serving"],
    ["export"],
    ["deploy"],
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
    assert part(path) == "running" or not words & {"server_app", "client_app"}


# Rooms that people add to.
EXTENDED = ("averaging", "banks", "ensembles", "members", "methods", "metrics", "privacy")


@pytest.mark.parametrize(
    "path", [p for p in MODULES if part(p) in EXTENDED], ids=lambda p: str(p.relative_to(ROOT))
)
def test_what_people_extend_says_what_it_does(path):
    for place_, node in public(ast.parse(path.read_text())):
        assert ast.get_docstring(node), f"{path}: {place_} has no docstring"


def public(tree, inside=""):
    """The public classes and functions of a file, methods too, with their names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_":
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")


def test_one_loop_trains_in_process():
    """Only `round.py` calls a method's `fit`, and a method whose `fit` is another's of something
    else: of other features, or in other messages."""
    for path in SOURCES:
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        fits = [c for c in calls if isinstance(c, ast.Attribute) and c.attr == "fit"]
        where = path.relative_to(ROOT).as_posix()
        if path.parent.name in ("ensembles", "members", "methods"):
            assert len(fits) <= 1, f"{where} fits more than once in a round"
        elif where not in ("fedad/round.py", "fedad/running/attacked.py"):
            assert not fits, f"{where} fits by itself"


UNPICKLING = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "jsonpickle"}
RUNNING = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pandas.read_pickle"}
RUNNING |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "numpy.load", "torch.load"}
RUNNING |= {"torch.serialization.load", "torch.jit.load", "torch.hub.load"}
IMPORTING = "importlib.import_module"
WEIGHTS = "fedad/embedders/weights.py"


def dangers(source: str, path: str) -> list[str]:
    """What in a file's source could run what a file or a message brings.

    A name counts wherever it stands, called or handed on, under whatever name it was imported.
    """
    tree = ast.parse(source)
    names = aliases(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    spared = {id(call.func) for call in calls if is_harmless(call, names, path)}
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    found = [full(node, names) for node in used if id(node) not in spared]
    found = [name for name in (*found, *names.values()) if name in {*RUNNING, IMPORTING}]
    found += [name for name in imports(tree) if name.split(".")[0] in UNPICKLING]
    for call in calls:
        words = {word.arg: word.value for word in call.keywords}
        risky = [words[name] for name in ("allow_pickle", "shell") if name in words]
        found += [ast.unparse(call) for value in risky if not is_literal(value, False)]
    return found


def imports(tree: ast.AST) -> list[str]:
    return [name for node in ast.walk(tree) for name in brought(node).values()]


def aliases(tree: ast.AST) -> dict[str, str]:
    """Each name that an import binds, anywhere in a file -> what it stands for."""
    return {alias: name for node in ast.walk(tree) for alias, name in brought(node).items()}


def brought(node: ast.AST) -> dict[str, str]:
    if isinstance(node, ast.Import):
        return {one.asname or one.name: one.name for one in node.names}
    if isinstance(node, ast.ImportFrom):
        module = f"{node.module}.".removeprefix("builtins.")
        return {one.asname or one.name: f"{module}{one.name}" for one in node.names}
    return {}


def full(node: ast.AST, names: dict[str, str]) -> str:
    """What a name or an attribute stands for, such as `torch.load` for `t.load`."""
    if isinstance(node, ast.Attribute):
        return f"{full(node.value, names)}.{node.attr}".removeprefix("builtins.")
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def is_harmless(call: ast.Call, names: dict[str, str], path: str) -> bool:
    """Whether a call of what may run something is one of the three that do not."""
    called, words = full(call.func, names), {word.arg: word.value for word in call.keywords}
    if called == "torch.load":
        return path == WEIGHTS and is_literal(words.get("weights_only"), True)
    if called == "numpy.load":  # its third argument is allow_pickle, which is False
        return len(call.args) <= 2 and None not in words
    if called == IMPORTING:
        return bool(call.args) and ast.unparse(call.args[0]).startswith("f'fedad.")
    return False


def is_literal(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_or_evaluates(path):
    assert dangers(path.read_text(), path.relative_to(ROOT).as_posix()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import dill as quiet",
        "eval(text)",
        "import builtins; builtins.eval(text)",
        "from builtins import exec as run",
        "run = eval",
        "import torch; torch.load(path)",
        "import torch; torch.load(path, weights_only=False)",
        "import torch; torch.load(path, weights_only=safe)",
        "import torch as t; t.load(path)",
        "import torch; f = torch.load",
        "import torch; torch.jit.load(path)",
        "import torch.jit as jit; jit.load(path)",
        "from torch import load",
        "from torch import hub; hub.load(path)",
        "from torch.serialization import load",
        "import numpy as np; np.load(path, allow_pickle=True)",
        "import numpy as np; np.load(path, allow_pickle=flag)",
        "import numpy as np; np.load(path, None, True)",
        "import numpy as np; np.load(path, **how)",
        "import numpy as np; f = np.load",
        "read_array(file, allow_pickle=1)",
        "import yaml; yaml.load(text)",
        "import importlib; importlib.import_module('pickle')",
        "from importlib import import_module as bring; bring(name)",
        "import importlib; bring = importlib.import_module",
        "import subprocess; subprocess.run(text, shell=True)",
        "import subprocess; subprocess.run(text, shell=1)",
    ],
)
def test_the_gate_sees_each_of_these(source):
    assert dangers(source, WEIGHTS)


def test_the_gate_spares_the_one_exception_by_its_place_and_what_is_harmless():
    weights = "import torch; torch.load(path, weights_only=True)"
    assert not dangers(weights, WEIGHTS)
    assert dangers(weights, "fedad/coresets/weights.py")
    harmless = "import numpy as np; np.load(path, allow_pickle=False); np.load(path)"
    assert not dangers(f"{harmless}; model.eval(); re.compile(text); run(words, shell=False)", "")


def test_an_audit_that_could_look_at_nothing_says_so():
    told = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["told"]
    unknown = {"name": "fedad", "skip_reason": "not found on PyPI"}
    sound = {"name": "numpy", "version": "2.4", "vulns": []}
    broken = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-7"}, {"id": "GHSA-9"}]}
    assert told([unknown]) == ["pip-audit: 0 of 1 packages audited"]
    assert told([unknown, sound, broken]) == [
        "pip-audit: 2 of 3 packages audited",
        "pillow 1.0: PYSEC-7, GHSA-9",
    ]


def test_every_knob_stands_in_pyproject_with_its_default():
    flower = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
    listed = {f"{t}.{key}": value for t, knobs in flower.items() for key, value in knobs.items()}
    assert listed == every_knob()


def test_a_wheel_brings_all_that_the_app_is_made_of(tmp_path):
    """Laid out as an installed wheel is, and nothing of this checkout in reach."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = hatch["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, tmp_path / package)
    for source, place_there in wheel["force-include"].items():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / place_there)
        else:
            shutil.copy(ROOT / source, tmp_path / place_there)
    code = (
        "import pathlib, fedad.running.flower; fedad.running.flower.assemble(pathlib.Path('app'))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    brought = {path.name for path in (tmp_path / "app").iterdir()}
    assert brought == {"pyproject.toml", "fedad", "server_app", "client_app"}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_configuration_reads(path):
    tables = tomllib.loads(path.read_text())
    read({f"{t}.{key}": value for t, knobs in tables.items() for key, value in knobs.items()})
    assert path.read_text().startswith("# ")


def test_metrics_and_help_need_neither_flower_nor_torch():
    runs_without(
        "import fedad.evaluation, fedad.cli, fedad.datasets.autovi", "flwr", "torch", "timm"
    )


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
