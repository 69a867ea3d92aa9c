"""What can be wrong with one array of a message, whatever it is for."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable

import numpy as np
from flwr.app import Array

STYPE = "numpy.ndarray"


def plain(tensor: np.ndarray) -> Array:
    return Array(np.ascontiguousarray(tensor))


def made(array: Array, **changed: object) -> Array:
    """The array with another announcement or other bytes, which Flower lets anybody send."""
    told = {"dtype": array.dtype, "shape": array.shape, "stype": array.stype, "data": array.data}
    return Array(**{**told, **changed})


def with_header(header: bytes, version: bytes = b"\x01\x00") -> bytes:
    """Bytes in NumPy's format whose header is this text."""
    text = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + text


def dressed(array: Array, kind: str, shape: str, fortran: str = "False") -> bytes:
    header = f"{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    return with_header(header.encode())


def body(array: Array) -> bytes:
    return array.data[10 + int.from_bytes(array.data[8:10], "little") :]


def pickled() -> bytes:
    """An array of objects, as `np.save` writes it when it is allowed to."""
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


class _Opens:
    """What a loader that unpickles would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


def columnwise(array: Array) -> bytes:
    shape, kind = str(tuple(array.shape)), repr(np.dtype(array.dtype).str)
    return dressed(array, kind, shape, "True") + body(array)


def _own(array: Array) -> bytes:
    return repr(np.dtype(array.dtype).str).encode()


FAULTS: dict[str, tuple[Callable[[Array], Array], str]] = {  # name -> what is done, the word
    "of 2^43 rows by its header": (
        lambda a: made(a, data=dressed(a, repr(np.dtype(a.dtype).str), f"({2**43},)")),
        "header",
    ),
    "of 2^43 rows, announced too": (
        lambda a: made(
            a, shape=(2**43,), data=dressed(a, repr(np.dtype(a.dtype).str), f"({2**43},)")
        ),
        "size",
    ),
    "of 2^200 rows": (
        lambda a: made(
            a, shape=(2**200,), data=dressed(a, repr(np.dtype(a.dtype).str), f"({2**200},)")
        ),
        "size",
    ),
    "cut in half": (lambda a: made(a, data=a.data[: 128 + (len(a.data) - 128) // 2]), "size"),
    "without a byte": (lambda a: made(a, data=b""), "header"),
    "without values": (lambda a: made(a, data=a.data[:128]), "size"),
    "with bytes behind it": (lambda a: made(a, data=a.data + bytes(64)), "size"),
    "of noise": (lambda a: made(a, data=bytes(range(256)) * 9), "header"),
    "of format 3": (lambda a: made(a, data=a.data[:6] + b"\x03\x00" + a.data[8:]), "header"),
    "with a header of code": (
        lambda a: made(a, data=with_header(b"__import__('os').abort()")),
        "header",
    ),
    "with a nested header": (lambda a: made(a, data=with_header(b"(" * 900)), "header"),
    "with a header of 60,000 bytes": (
        lambda a: made(a, data=with_header(b"{" + b" " * 60_000 + b"}")),
        "header",
    ),
    "of objects": (lambda a: made(a, dtype="object", shape=(1,), data=pickled()), "kind"),
    "of hidden objects": (lambda a: made(a, shape=(1,), data=pickled()), "header"),
    "that is a pickle": (lambda a: made(a, data=pickle.dumps(_Opens())), "header"),
    "column by column": (lambda a: made(a, data=columnwise(a)), "header"),
    "of doubles": (
        lambda a: plain(np.zeros(tuple(a.shape), np.float64)),
        "kind",
    ),
    "of another byte order": (
        lambda a: made(
            a,
            dtype=f">{np.dtype(a.dtype).str[1:]}",
        ),
        "kind",
    ),
    "of records": (
        lambda a: made(a, data=dressed(a, "[('x', '<f4', (99999, 99999))]", str(tuple(a.shape)))),
        "header",
    ),
    "announced as longer": (lambda a: made(a, shape=(a.shape[0] + 1, *a.shape[1:])), "header"),
    "announced as negative": (lambda a: made(a, shape=(-1, *a.shape[1:])), "shape"),
    "announced in ten dimensions": (lambda a: made(a, shape=(1,) * 10), "shape"),
    "announced as another kind": (
        lambda a: made(a, dtype="int64" if a.dtype != "int64" else "int32"),
        "header",
    ),
    "serialised otherwise": (lambda a: made(a, stype="torch.tensor"), "kind"),
}
