"""A model remembers how the pictures that it was made from were read, where not as usual."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.commands.evaluate import evaluate as evaluate_command
from fedad.config import DataKnobs, read
from fedad.images.reading import as_text, remembered
from fedad.messages.file import READING, about
from fedad.running.by_hand import build, merge_files
from fedad.running.maps import write_maps
from tests.bad_data.cases import draw_plant
from tests.bad_data.files import saved

SHAPE = (20, 24)


@pytest.fixture
def network(knobs):
    return {name: value for name, value in knobs.items() if not name.startswith("data.")}


@pytest.fixture
def turned_plant(tmp_path):
    """A plant whose files say that they are to be turned by a quarter."""
    root, tag = draw_plant(tmp_path / "plant"), Image.Exif()
    tag[0x112] = 6
    for path in sorted((root / "bolt").rglob("*.png")):
        path.write_bytes(saved(Image.open(path).copy(), exif=tag))
    return root


def test_a_bank_remembers_how_its_files_were_read(turned_plant, tmp_path, network):
    """Who scores with it sees new pictures as it did, and who evaluates the maps too."""
    bank, maps, told = tmp_path / "bank.safetensors", tmp_path / "maps", tmp_path / "told"
    knobs = {**network, "data.dataset": "auto", "data.dir": str(turned_plant)}
    build(read({**knobs, "data.orientation": "apply"}), "lyon", bank)
    assert about(bank)[READING] == '{"orientation": "apply"}'
    new = read({**network, "data.dataset": "auto"})
    written = write_maps(new, turned_plant, bank, maps, form="npy")
    assert any("orientation" in note for note in written.notes)
    said = read({**network, "data.dataset": "auto", "data.orientation": "apply"})
    again = write_maps(said, turned_plant, bank, told, form="npy")
    assert not any("orientation" in note for note in again.notes)
    assert (maps / "scores.csv").read_bytes() == (told / "scores.csv").read_bytes()
    assert np.load(next(maps.rglob("*.npy"))).shape == SHAPE[::-1]
    evaluate_command(turned_plant, maps, tmp_path / "out", replicates=0)  # with the masks turned
    assert (tmp_path / "out" / "figures.json").exists()


def test_a_bank_of_files_read_as_usual_has_the_bytes_it_always_had(tmp_path, network):
    knobs = {**network, "data.dataset": "auto", "data.dir": str(draw_plant(tmp_path / "plant"))}
    bank = tmp_path / "bank.safetensors"
    build(read(knobs), "lyon", bank)
    assert READING not in about(bank)
    other = tmp_path / "other.safetensors"
    build(read({**knobs, "data.orientation": "apply"}), "graz", other)
    _, warnings = merge_files(read(network), [bank, other], tmp_path / "both.safetensors")
    assert any("read in 2 ways" in warning for warning in warnings)
    assert READING not in about(tmp_path / "both.safetensors")


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"dir": "/etc"}', '{"bits": 7}', '{"bits": "x"}', "7"]
)
def test_what_a_foreign_file_says_of_reading_is_checked(text):
    with pytest.raises(ValueError, match=r"[Ee]xpect|bits"):
        remembered(DataKnobs(), text)


def test_what_the_user_says_comes_before_what_a_bank_remembers():
    asked = DataKnobs(bits=12)
    assert remembered(asked, '{"bits": 14, "profile": "apply"}') == replace(asked, profile="apply")
    assert remembered(asked, as_text(DataKnobs(white=900.0))).white == 900.0
    assert as_text(DataKnobs()) == ""
