"""A graph as ONNX, with what it says of itself and a digest of all that it is made of."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import Any

import numpy as np

from fedad.embedders.backbone import Backbone
from fedad.errors import ConfigError, DataError
from fedad.export.plan import Plan
from fedad.plumbing.parse import from_json

ABOUT, DIGEST = "fedad", "fedad.digest"
INPUT, OUTPUTS = "canvas", ("map", "score", "site")
OPSET = 20
EXTRA = "pip install 'fedad[export]'"


def exported(backbone: Backbone, plan: Plan) -> bytes:
    """The file of a plan's graph.

    Raises:
        ConfigError: what the extra `export` brings is not installed.
    """
    onnx = needed("onnx")
    needed("onnxscript")
    import torch

    from fedad.export.graph import Graph

    height, width = plan.about["canvas"]
    canvas = torch.zeros((1, 3, height, width), dtype=torch.uint8)
    graph = Graph(backbone, plan).cpu().eval()
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        program = torch.onnx.export(
            graph,
            (canvas,),
            input_names=[INPUT],
            output_names=[*OUTPUTS],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto  # type: ignore[union-attr]
    proto.producer_name, proto.producer_version = "fedad", str(plan.about["fedad"])
    del proto.metadata_props[:]
    said = {ABOUT: json.dumps(plan.about)}
    onnx.helper.set_model_props(proto, said)
    onnx.helper.set_model_props(proto, {**said, DIGEST: digest_of(proto)})
    return bytes(proto.SerializeToString(deterministic=True))


def digest_of(proto: Any) -> str:
    """The SHA-256 of a file's graph, every byte of its weights and rows, and what it says of
    itself."""
    whole = type(proto)()
    whole.CopyFrom(proto)
    said = [one.value for one in whole.metadata_props if one.key == ABOUT]
    del whole.metadata_props[:]
    digest = hashlib.sha256(whole.SerializeToString(deterministic=True))
    digest.update(repr(said).encode())
    return digest.hexdigest()


def about(content: bytes) -> dict[str, Any]:
    """What a file says of itself.

    Raises:
        DataError: it is no graph of ours, or not the one that was written.
    """
    onnx = needed("onnx")
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:
        raise DataError(f"no ONNX model ({type(error).__name__}): was it cut off?") from error
    props = {one.key: one.value for one in proto.metadata_props}
    if ABOUT not in props or DIGEST not in props:
        raise DataError("an ONNX model that fedad export did not write")
    if digest_of(proto) != props[DIGEST]:
        raise DataError("its digest is not that of its graph and rows: it was changed, or damaged")
    try:
        return dict(from_json(props[ABOUT]))
    except (ValueError, TypeError) as error:
        raise DataError(f"what it says of itself cannot be read ({error})") from error


class Engine:
    """A file, open in onnxruntime."""

    def __init__(self, content: bytes, threads: int) -> None:
        runtime = needed("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise DataError(f"onnxruntime does not open it ({error!s:.200})") from error

    def __call__(self, canvas: np.ndarray) -> tuple[np.ndarray, float, int]:
        """Canvas (H, W, 3) uint8 -> map (h, w), score and the number of the nearest site."""
        whole = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])
        patches, score, site = self.session.run([*OUTPUTS], {INPUT: whole})
        return patches[0], float(score[0]), int(site[0])


def needed(name: str) -> Any:
    """A package of the extra.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        if name == "onnx":
            import onnx

            return onnx
        if name == "onnxscript":
            import onnxscript

            return onnxscript
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f"fedad export needs {name}, which is not installed: {EXTRA}") from error
    return onnxruntime
