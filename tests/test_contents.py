"""A run is of the images that it began with: another folder, or a changed one, is refused."""

import shutil

import pytest
from flwr.app import ArrayRecord

from client_app.contents import LISTED, contents, hold
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.errors import DataError
from fedad.partition import one_site
from fedad.plumbing.progress import Silent
from fedad.running.launch import launch, sites_of
from server_app.kept import Kept
from server_app.registry import RunRefusedError
from server_app.strategy import MethodStrategy
from tests.conftest import draw_category
from tests.test_resume import NODES, Watched


@pytest.fixture
def own(plants, tmp_path):
    return shutil.copytree(plants, tmp_path / "own")


def plant(folder, knobs):
    data = read({**knobs, "data.dir": str(folder)}).data
    return one_site("graz", open_dataset(data), data, seed=0)


def test_the_place_of_a_folder_does_not_matter_and_its_images_do(own, plants, knobs, tmp_path):
    hold(plant(own, knobs), tmp_path / "run")
    hold(plant(plants, knobs), tmp_path / "run")
    assert {len(digest) for digest in contents(plant(own, knobs)).values()} == {64}


@pytest.mark.parametrize("harm", ["changed", "gone", "new", "mask"])
def test_any_other_file_is_named(harm, own, knobs, tmp_path):
    hold(plant(own, knobs), tmp_path / "run")
    image = sorted((own / "bolt/train/good").iterdir())[0]
    name = f"bolt/train/good/{image.stem}"
    if harm == "changed":
        image.write_bytes(sorted((own / "bolt/train/good").iterdir())[1].read_bytes())
    elif harm == "gone":
        image.unlink()
    elif harm == "new":
        shutil.copy(image, image.with_name(f"0{image.name}"))
        name = f"bolt/train/good/0{image.stem}"
    else:
        masks = sorted((own / "bolt/ground_truth").rglob("*.png"))
        masks[0].write_bytes(masks[-1].read_bytes() + b"\0")
        name = "bolt/test/"
    one = {"changed": "0 new, 0 gone, 1", "gone": "0 new, 1 gone, 0", "new": "1 new, 0 gone, 0"}
    counts = one.get(harm, "0 new, 0 gone, 1")
    with pytest.raises(DataError, match=f"site graz: .*{counts} changed, such as .*{name}"):
        hold(plant(own, knobs), tmp_path / "run")


def test_a_folder_that_changes_before_judging_gives_no_figures(own, knobs, tmp_path, in_a_run):
    settings = {**knobs, "data.dir": str(own), "round.out": str(tmp_path / "out")}
    config = read({**settings, "score.replicates": 0})
    strategy = MethodStrategy(config, Kept.begin(tmp_path / "server", config))
    merged = strategy.aggregate_train

    def aggregate(number, replies):
        found = merged(number, replies)
        sorted((own / "bolt/train/good").iterdir())[0].unlink()
        return found

    strategy.aggregate_train = aggregate
    with pytest.raises(RunRefusedError, match="not those that this run began with"):
        strategy.start(Watched(config.flat(), NODES), ArrayRecord())
    strategy.kept.close()


def test_a_changed_folder_is_refused_even_where_its_list_is_lost(own, knobs, tmp_path, in_a_run):
    """What a site learned says of which images: a new list is no excuse."""
    settings = {**knobs, "data.dir": str(own), "round.out": str(tmp_path / "out")}
    config = read({**settings, "score.replicates": 0})
    strategy = MethodStrategy(config, Kept.begin(tmp_path / "server", config))
    merged = strategy.aggregate_train

    def aggregate(number, replies):
        found = merged(number, replies)
        sorted((own / "bolt/train/good").iterdir())[0].unlink()
        lists = [*(tmp_path / "out").rglob(LISTED)]
        assert lists
        for path in lists:
            path.unlink()
        return found

    strategy.aggregate_train = aggregate
    with pytest.raises(RunRefusedError, match="was changed or lost: begin a new run"):
        strategy.start(Watched(config.flat(), NODES), ArrayRecord())
    strategy.kept.close()


def test_a_resumed_run_refuses_another_folder_before_it_starts(own, knobs, tmp_path, in_a_run):
    settings = {**knobs, "data.dir": str(own), "score.replicates": 0}

    def run(knobs):
        where = {"via": "local", "root": tmp_path / "runs"}
        return launch(read(knobs), **where, with_yardsticks=False, sink=Silent())

    folder = run(settings)
    again = {**settings, "round.out": str(folder), "round.resume": True}
    other = tmp_path / "other"
    for category in ("bolt", "hose"):
        draw_category(other / category, category, train=3)
    with pytest.raises(DataError, match="not those that this run began with"):
        run({**again, "data.dir": str(other)})
    moved = shutil.move(own, tmp_path / "moved")
    run({**again, "data.dir": str(moved)})
    kept = sorted((folder / "sites").rglob(LISTED))
    sites = sites_of(read({**settings, "data.dir": str(moved)}))
    assert [path.parent.parent.name for path in kept] == [site.name for site in sites]
