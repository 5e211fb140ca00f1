"""A `GPT` of ours as an ONNX file: tokens to logits, for onnxruntime and whatever else reads the format."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.weights.onnx_graph import OPSET, Graph, gpt_graph
from groundup.weights.pretrained import Pretrained

LARGEST_FILE = 2_000_000_000
"""Bytes of weights above which they lie in a file beside: the format ends at 2³¹."""
_LARGE = 1024  # bytes; smaller tensors stay in the file: shapes must be known to whoever reads the graph
_MATRICES = ("query", "key", "value", "output", "gate", "up", "down")
_IR_VERSION = 9  # of the file format; the one that came with the operators


def save_onnx(found: Pretrained, path: Path) -> None:
    """Write `path`, an ONNX file with the input `tokens`, int64 [B, T], and the output `logits`, float32 [B, T, V].

    B and T are free, T up to the context length, which stands in the file's metadata. There is no cache: a text is read
    from its start. Weights are float32 under our names, also of a model that is kept in few bits; above 2 GB they lie
    beside, in NAME.onnx.data. All is there or nothing. The tokenizer is not in it.

    Args:
        found: the model.
        path: a new file.

    Raises:
        InputError: the extra `onnx` is not installed; learned vectors before the text, adapters that are not merged; a
            file in use, no place, a full disk.
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.data")
    partial = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    _refuse_others(found.model)
    graph = gpt_graph(found.model)
    about = {"context_length": found.model.context_length, "vocab_size": found.model.vocab_size}
    described = {key: str(value) for key, value in about.items()}
    if found.licence is not None:
        described["license"] = found.licence
    try:
        _refuse_in_use(path, beside)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(graph, partial / path.name, described)
        _refuse_in_use(path, beside)  # another process may have been faster
        for file in sorted(partial.iterdir(), reverse=True):  # NAME.onnx.data first: then NAME.onnx may name it
            file.rename(path.with_name(file.name))
    except OSError as error:
        raise InputError(
            f"expected to write a model at {path}, found: {error.strerror or error}; make room or name another place"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def largest_onnx_difference(model: GPT, path: Path) -> float | None:
    """Return the largest difference between a model's logits and those of a file, after tokens drawn with a fixed seed.

    None: onnxruntime, which would run it, is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    tokens = torch.randint(
        model.vocab_size, (2, min(32, model.context_length)), generator=torch.Generator().manual_seed(0)
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"tokens": tokens.numpy()})
    with torch.inference_mode():
        return float((model(tokens) - torch.from_numpy(logits)).abs().max())


def _refuse_in_use(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise InputError(f"expected a new file to write to, found {path} in use: name another")


def _refuse_others(model: GPT) -> None:
    """Refuse what the graph would leave out."""
    if model.prefix is not None:
        raise InputError(
            "expected a model to write, found one with learned vectors before the text, for which the graph has no "
            "place: take the adapter folder of the run, which peft reads"
        )
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in _MATRICES and list(module.children()):
            raise InputError(f"expected a plain matrix in {name}, found layers inside: merge the adapter first")


def _write(graph: Graph, path: Path, described: dict[str, str]) -> None:
    """Write the graph, and its large tensors in a file beside if all together are too large for one."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise InputError(
            "expected the extra onnx to write ONNX files, found it missing: pip install 'groundup[onnx]'"
        ) from None
    nodes = [helper.make_node(n.operator, n.inputs, [n.output], name=n.output, **n.attributes) for n in graph.nodes]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "tokens"])]
    sizes = ["batch", "tokens", int(described["vocab_size"])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, sizes)]
    model = helper.make_model(
        helper.make_graph(nodes, "gpt", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="groundup",
    )
    helper.set_model_props(model, described)
    least = _LARGE if sum(map(_n_bytes, graph.tensors.values())) > LARGEST_FILE else None
    for name, tensor in graph.tensors.items():  # made in place: make_graph would copy them all
        _fill(model.graph.initializer.add(name=name), tensor, path.with_name(f"{path.name}.data"), least)
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        file.flush()
        os.fsync(file.fileno())


def _fill(described: Any, tensor: Tensor, beside: Path, least: int | None) -> None:  # noqa: ANN401 - onnx.TensorProto
    """Describe a tensor; its numbers lie in the file `beside` if they are at least so many bytes."""
    described.data_type = described.INT64 if tensor.dtype == torch.int64 else described.FLOAT
    described.dims.extend(tensor.shape)
    content = np.ascontiguousarray(tensor.cpu().numpy()).tobytes()
    if least is None or len(content) < least:
        described.raw_data = content
        return
    with beside.open("ab") as file:
        places = {"location": beside.name, "offset": file.tell(), "length": len(content)}
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    described.data_location = described.EXTERNAL
    for key, value in places.items():
        described.external_data.add(key=key, value=str(value))


def _n_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
