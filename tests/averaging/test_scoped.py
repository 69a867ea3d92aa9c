"""Models a product, and one model of all: which sites count for which, and how much."""

import numpy as np
import pytest

from fedad.averaging.scoped import averaged_by_group, having
from fedad.config import MergeKnobs
from fedad.errors import UploadError
from fedad.methods.reconpatch import MAPS, Maps
from tests.conftest import MARK


def maps(site, value, images, scope="category"):
    groups = 1 if scope == "mixed" else len(images)
    return Maps(
        modulation=np.full((groups, 2, 3), value, np.float32),
        projection=np.full((groups, 1, 2), -value, np.float32),
        images=np.array([*images.values()]),
        categories=tuple(images),
        sites=(site,),
        fingerprint=MARK,
        scope=scope,
    )


def test_a_product_is_averaged_over_the_sites_that_have_it_by_their_images():
    uploads = [maps("graz", 1.0, {"bolt": 3, "hose": 5}), maps("lyon", 4.0, {"hose": 10})]
    found = averaged_by_group(uploads, MAPS, MergeKnobs())
    np.testing.assert_allclose(found["modulation"][:, 0, 0], [1.0, 3.0])
    np.testing.assert_allclose(found["projection"][:, 0, 0], [-1.0, -3.0])
    alike = averaged_by_group(uploads, MAPS, MergeKnobs(weighting="equal"))
    np.testing.assert_allclose(alike["modulation"][:, 0, 0], [1.0, 2.5])
    assert [(one.sites, at) for one, at in having(uploads, "hose")] == [
        (("graz",), 1),
        (("lyon",), 0),
    ]


def test_mixed_products_are_one_group_with_all_images():
    uploads = [
        maps("graz", 1.0, {"bolt": 3, "hose": 5}, "mixed"),
        maps("lyon", 4.0, {"hose": 16}, "mixed"),
    ]
    assert uploads[0].groups == ("",)
    assert uploads[0].images_of(0) == 8
    found = averaged_by_group(uploads, MAPS, MergeKnobs())
    assert found["modulation"].shape == (1, 2, 3)
    np.testing.assert_allclose(found["modulation"], 3.0)


def test_maps_of_some_groups_alone_are_refused():
    one = maps("graz", 1.0, {"bolt": 3, "hose": 5})
    with pytest.raises(UploadError, match="maps/projection has 1 of 2 groups"):
        one.replace(projection=one.projection[:1]).check()
