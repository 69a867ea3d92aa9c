"""The declaration of a payload is all that packing, unpacking and the checks of form read."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.banks.bank import SUMS, Bank
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.messages.payload import Payload, check_alike
from fedad.messages.schema import DOUBLES, FLOATS, Array, Names, Number, Perhaps, slots
from fedad.types import Fingerprint
from tests.conftest import MARK, bank_of


@dataclass(frozen=True, eq=False, kw_only=True)
class Memory(Payload):
    rows: Annotated[np.ndarray, Array("M D", FLOATS)]
    sizes: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=100)]
    product: Annotated[np.ndarray, Array("M", ("int32",), into="categories")]
    exact: Annotated[np.ndarray, Array("C D", DOUBLES)]
    radius: Annotated[float, Number(0, 10)]
    block: Annotated[int, Number(1, 64, alike=True)]
    secret: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=9, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    fingerprint: Fingerprint
    dtype: Literal["float32", "float16"] = "float32"


def memory(site="lyon", **changed):
    rng = np.random.default_rng(0)
    made = Memory(
        rows=rng.normal(size=(3, 2)).astype(np.float32),
        sizes=np.array([1, 2, 3]),
        product=np.array([0, 1, 1], np.int32),
        exact=rng.normal(size=(2, 2)),
        radius=0.5,
        block=8,
        secret=np.array([4, 5, 6]),
        categories=("bolt", "hose"),
        sites=(site,),
        fingerprint=MARK,
    )
    return made.replace(**changed)


def test_what_travels_is_listed_and_what_stays_is_not():
    assert Memory.travelling() == {
        "memory": ("rows", "sizes", "product", "exact"),
        "header": ("schema", "radius", "block", "categories", "sites", "fingerprint", "dtype"),
    }


def test_packing_is_lossless_and_leaves_what_stays():
    tensors, header = memory().pack()
    assert "secret" not in tensors
    again = Memory.unpack(tensors, header)
    assert again.secret.size == 0
    for name in ("rows", "sizes", "product", "exact"):
        np.testing.assert_array_equal(getattr(again, name), getattr(memory(), name))
    assert (again.radius, again.block, again.fingerprint) == (0.5, 8, MARK)
    own = Memory.unpack(*memory().pack(private=True), private=True)
    assert own.secret.tolist() == [4, 5, 6]


def test_what_stays_is_refused_in_a_message():
    with pytest.raises(UploadError, match="memory/'secret' is not taken"):
        Memory.unpack(*memory().pack(private=True))


def test_sealing_rounds_floats_once_and_doubles_never():
    sealed = memory().sealed("graz", "float16")
    assert sealed.sites == ("graz",)
    assert sealed.secret.size == 0
    np.testing.assert_array_equal(sealed.rows, memory().rows.astype(np.float16))
    np.testing.assert_array_equal(sealed.exact, memory().exact)
    tensors, _ = sealed.pack()
    assert (tensors["rows"].dtype, tensors["exact"].dtype) == (np.float16, np.float64)
    assert sealed.rows.dtype == np.float32
    whole = memory().with_own(sealed)
    assert whole.secret.tolist() == [4, 5, 6]
    np.testing.assert_array_equal(whole.rows, sealed.rows)


def test_floats_travel_only_as_they_are_declared_to():
    with pytest.raises(ConfigError, match="'int8': a memory travels as float32 or float16"):
        memory().sealed("graz", "int8")


@pytest.mark.parametrize(
    ("change", "word", "says"),
    [
        (lambda t, h: t.pop("sizes"), "fields", "memory/'sizes' is missing"),
        (lambda t, h: t.update(more=t["rows"]), "fields", "memory/'more' is not taken"),
        (lambda t, h: h.update(path="/data"), "fields", "memory/'path' is not taken"),
        (lambda t, h: h.update(schema="0"), "schema", "schema '0', expected '1'"),
        (lambda t, h: t.update(rows=t["rows"].astype(np.float64)), "kind", "rows is float64"),
        (lambda t, h: t.update(rows=t["rows"].astype(np.float16)), "kind", "its header says"),
        (lambda t, h: t.update(exact=t["exact"].astype(np.float32)), "kind", "exact is float32"),
        (lambda t, h: t.update(rows=t["rows"][None]), "kind", "of 3 dimensions"),
        (lambda t, h: t.update(sizes=t["sizes"][:2]), "shape", "sizes: M is 2, expected 3"),
        (lambda t, h: t.update(exact=t["exact"][:1]), "shape", "exact: C is 1, expected 2"),
        (lambda t, h: t.update(exact=t["exact"][:, :1]), "shape", "exact: D is 1, expected 2"),
        (lambda t, h: t["rows"].__setitem__((2, 1), np.nan), "finite", r"at \[2, 1\]"),
        (lambda t, h: t["rows"].__setitem__((2, 1), 1e5), "range", "expected -10000 to 10000"),
        (lambda t, h: t["sizes"].__setitem__(0, -1), "range", "sizes holds values from -1"),
        (lambda t, h: t["product"].__setitem__(0, 2), "column", "beyond its 2 categories"),
        (lambda t, h: h.update(radius="-1"), "range", "radius is -1, expected 0 to 10"),
        (lambda t, h: h.update(radius="NaN"), "range", "radius is nan"),
        (lambda t, h: h.update(radius="Infinity"), "range", "radius is inf"),
        (lambda t, h: h.update(radius='"0"'), "header", "radius is no float"),
        (lambda t, h: h.update(block="8.0"), "header", "block is no int"),
        (lambda t, h: h.update(block="true"), "header", "block is no int"),
        (lambda t, h: h.update(block="[" * 100_000), "header", "block is no JSON"),
        (lambda t, h: h.update(dtype="float64"), "header", "dtype is 'float64'"),
        (lambda t, h: h.update(sites="7"), "names", "expected names fit for files"),
        (lambda t, h: h.update(sites='["../x"]'), "names", "expected names fit for files"),
        (lambda t, h: h.update(categories='["a", "a"]'), "names", "a name stands twice"),
        (lambda t, h: h.update(fingerprint="[1]"), "header", "fingerprint is no Fingerprint"),
        (lambda t, h: h.update(fingerprint='{"backbone": 1}'), "header", "its backbone is no str"),
    ],
)
def test_what_does_not_fit_its_declaration_is_refused_by_its_word(change, word, says):
    tensors, header = memory().pack()
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    change(tensors, header)
    with pytest.raises(UploadError, match=says) as refused:
        Memory.unpack(tensors, header)
    assert refused.value.reason == word


def test_a_size_that_is_known_is_held_to():
    tensors, header = memory().pack()
    with pytest.raises(UploadError, match="rows: D is 2, expected 5"):
        Memory.unpack(tensors, header, sizes={"D": 5})


@given(st.dictionaries(st.sampled_from(["radius", "block", "sites", "dtype", "x"]), st.text()))
def test_any_header_gives_a_value_or_a_word(changed):
    tensors, header = memory().pack()
    with suppress(UploadError):
        assert isinstance(Memory.unpack(tensors, {**header, **changed}), Memory)


def test_uploads_that_do_not_mix_are_refused_naming_both_sites():
    graz = memory("graz")
    for other, says in (
        (memory(block=4), "graz and lyon do not mix .block: 8 and 4"),
        (memory(rows=np.ones((3, 5), np.float32)), "features: 2 and 5"),
        (memory().replace(dtype="float16"), "dtype: float32 and float16"),
        (bank_of([[1.0]]), "a memory of graz and a bank of lyon do not mix"),
        (memory("graz"), "site 'graz' comes twice"),
    ):
        with pytest.raises(MismatchError, match=says):
            check_alike([graz, other])
    check_alike([graz, memory()])


def test_of_a_bank_only_what_it_has_images_of_counts_twice():
    one = bank_of([[1.0]], "lyon", "bolt")
    check_alike([one, bank_of([[1.0]], "lyon", "hose")])
    assert one.stands_for() == {("lyon", "bolt")}


def test_a_declaration_that_says_too_little_is_a_mistake_of_its_author():
    @dataclass(frozen=True, eq=False, kw_only=True)
    class Bare(Payload):
        rows: np.ndarray

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Nameless(Payload):
        rows: Annotated[np.ndarray, Array("M D", DOUBLES)]

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Lasting(Payload):
        own: Annotated[np.ndarray, Array("M", ("int64",), stays=True)]

    for kind, says in (
        (Bare, "says not what may travel"),
        (Nameless, "lacks the field sites"),
        (Lasting, "stays, and has no default"),
    ):
        with pytest.raises(TypeError, match=says):
            slots(kind)


def test_the_banks_form_is_what_it_was():
    """A bank of the first version is read, and written as it was: what is new may be away."""
    first, new = ("rows", "category", "site", "row", "images", "patches"), SUMS
    assert [name for name in Bank.travelling()["bank"] if isinstance(name, Perhaps)] == [*new]
    assert Bank.travelling() == {
        "bank": (*first, *new),
        "header": ("schema", "categories", "sites", "fingerprint", "dtype", "scope"),
    }
