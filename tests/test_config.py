import tomllib

import pytest

from fedad.config import Config, read, words
from fedad.errors import ConfigError
from fedad.running.flower import as_toml
from fedad.running.overlay import flat, read_config


def test_what_is_not_given_keeps_its_default():
    assert read({}) == Config()
    assert read({"coreset.local-ratio": 0.2}).coreset.local_ratio == 0.2


def test_flat_reads_back_as_the_same():
    config = read({"merge.aggregation": "concatenate", "data.alpha": 2, "round.seed": 7})
    assert read(config.flat()) == config
    assert config.data.alpha == 2


def test_flower_reads_the_knobs_as_they_are():
    """Any letter may stand in a folder's name, and in a file that a run brings."""
    knobs = {"data.dir": '/Werk "Süd"/\\部品/\U0001f529\t', "round.seed": 7, "round.resume": True}
    assert flat(tomllib.loads(as_toml(knobs))) == knobs


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"coreset.ratio": 1}, r"coreset.ratio: there is no such knob \(did you mean"),
        ({"coreste.selection": "x"}, r"did you mean 'coreset.selection'\?"),
        ({"nonsense": 1}, "tables are data, embedder"),
        ({"round.seed": "3"}, "round.seed = '3': expected a valid integer"),
        ({"round.seed": True}, "round.seed = True"),
        ({"round.seed": 1.5}, "round.seed = 1.5"),
        ({"wire.dtype": "float8"}, "'float32' or 'float16'"),
        ({"embedder.size": 8}, "greater than or equal to 32"),
        ({"score.scoring": "neares"}, r"did you mean 'nearest'\?\): expected one of"),
    ],
)
def test_a_wrong_knob_is_named_with_what_was_expected(given, says):
    with pytest.raises(ConfigError, match=says):
        read(given)


def test_a_comma_list():
    assert words(" layer2, layer3 ,") == ("layer2", "layer3")
    assert words("") == ()


def test_overrides_win_over_the_file_and_need_no_inner_quotes(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[merge]\naggregation = "concatenate"\n[round]\nseed = 4\n')
    config = read_config(path, ["merge.aggregation=diversity_preserving", "data.alpha=0.25"])
    assert config.merge.aggregation == "diversity_preserving"
    assert (config.round.seed, config.data.alpha) == (4, 0.25)


def test_folders_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config(None, ["data.dir=images", "embedder.weights=net.safetensors"])
    assert config.data.dir == str(tmp_path / "images")
    assert config.embedder.weights == str(tmp_path / "net.safetensors")
    assert read_config(None, ["embedder.cache=off"]).embedder.cache == "off"


@pytest.mark.parametrize(
    ("text", "says"), [(None, "cannot be read"), ("a = = 1", "not TOML"), ("[a]\nb=1", "a.b")]
)
def test_a_file_that_is_no_configuration(tmp_path, text, says):
    path = tmp_path / "run.toml"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_config(path, [])


def test_an_override_without_a_value():
    with pytest.raises(ConfigError, match="expected key=value"):
        read_config(None, ["round.seed"])
