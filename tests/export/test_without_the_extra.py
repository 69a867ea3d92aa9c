"""Without what the extra brings, the command says so in one line."""

import sys

import pytest

from fedad.errors import ConfigError
from fedad.export.onnx_file import needed


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_what_brings_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"needs {name}, .* pip install 'fedad\[export\]'"):
        needed(name)
