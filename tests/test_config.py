import shutil
import tomllib

import pytest

from fedad.config import Config, every_knob, factors, read, words
from fedad.datasets.base import open_dataset
from fedad.errors import ConfigError, DataError
from fedad.partition import partition
from fedad.plumbing.files import TOTALS, is_site_name
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
        ({"wire.dtype": "float8"}, "'float32', 'float16' or 'int8'"),
        ({"embedder.size": 8}, "greater than or equal to 32"),
        ({"embedder.pool": 2}, "embedder.pool = 2: expected an odd number"),
        ({"round.train-seconds": float("inf")}, "round.train-seconds = inf: expected a number of"),
        ({"score.sigma": float("nan")}, "score.sigma = nan: expected a number of"),
        (
            {"embedder.cache-gb": 1e300},
            r"embedder.cache-gb = 1e\+300: expected a number of at most",
        ),
        ({"merge.oversample": float("inf")}, "merge.oversample = inf"),
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


@pytest.mark.parametrize("name", ["net", "folder/net"])
def test_weights_without_an_ending_are_a_file_too(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config(None, [f"embedder.weights={name}"])
    assert config.embedder.weights == str(tmp_path / name)
    for word in ("package", "hub", "random"):
        assert read_config(None, [f"embedder.weights={word}"]).embedder.weights == word


def test_no_float_knob_may_be_infinite():
    for key, value in every_knob().items():
        if isinstance(value, float):
            for wrong in (float("inf"), float("-inf"), float("nan")):
                with pytest.raises(ConfigError, match=f"{key} = "):
                    read({key: wrong})


@pytest.mark.parametrize("name", TOTALS)
def test_no_product_and_no_site_is_called_as_a_total_is(name, plants, tmp_path):
    root = shutil.copytree(plants, tmp_path / "plants")
    (root / "bolt").rename(root / name)
    knobs = {"data.dataset": "autovi", "data.dir": str(root)}
    with pytest.raises(DataError, match=f"none of .*{name}"):
        open_dataset(read(knobs).data)
    (root / name).rename(root / "bolt")
    table = root / "bolt" / "sites.csv"
    table.write_text(table.read_text().replace(",graz", f",{name}"))
    data = read(knobs).data
    with pytest.raises(DataError, match=f"none of .*{name}"):
        partition(open_dataset(data), data, seed=0)


@pytest.mark.parametrize("name", [" graz", "graz "])
def test_a_site_that_a_list_could_not_name_is_refused(name):
    assert not is_site_name(name)
    assert factors("graz = 2, new york =0.5") == {"graz": 2.0, "new york": 0.5}


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
