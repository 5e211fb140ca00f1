"""The forward pass of a `GPT` as a graph of ONNX operators, laid out by hand: as large as the model, in milliseconds.

torch's exporter makes the same from a trace; for 135M parameters it took five minutes where this takes seconds, and
most weights lost their names. Operators are those of opset 20 (https://onnx.ai/onnx/operators/).

Shapes: B batch, T tokens, N = B · T, D width, G key/value heads, R query heads for each of them, K head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from groundup.layers.positions import LearnedPositions, SinusoidalPositions
from groundup.models.gpt import GPT

OPSET = 20
"""Version of the operators; Gelu came with it."""


@dataclass(frozen=True)
class Node:
    """One operation."""

    operator: str
    """Its name in ONNX."""
    inputs: tuple[str, ...]
    """Names of tensors and of other nodes' results."""
    output: str
    """Name of the result."""
    attributes: dict[str, Any]
    """By name."""


@dataclass
class Graph:
    """Operations in order, and the tensors that they read."""

    nodes: list[Node] = field(default_factory=list)
    """Each after those whose results it reads."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """By name: weights under ours, constants."""

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - numbers, texts, lists
        """Add an operation, and return the name of its result."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(Node(operator, inputs, name, attributes))
        return name

    def numbers(self, *values: int) -> str:
        """Return the name of whole numbers, int64 [n], kept once."""
        name = "numbers_" + "_".join(map(str, values))
        self.tensors.setdefault(name, torch.tensor(values, dtype=torch.int64))
        return name

    def real(self, value: float) -> str:
        """Return the name of a number, float32 []."""
        name = f"number_{value!r}"  # every digit: of two numbers that differ, neither stands for the other
        self.tensors.setdefault(name, torch.tensor(value))
        return name


def gpt_graph(model: GPT) -> Graph:
    """Return the graph from `tokens`, int64 [B, T], to `logits`, float32 [B, T, V].

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> graph = gpt_graph(GPT(GPTConfig(vocab_size=10, context_length=8, d_model=4, n_layers=1, n_heads=1)))
        >>> [node.operator for node in graph.nodes][:3], graph.nodes[-1].output
        (['Gather', 'Shape', 'Slice'], 'logits')
    """
    return _Builder(model).graph


class _Builder:
    """Goes through a model as `GPT.forward` does; the residual stream is [N, D] between the blocks."""

    def __init__(self, model: GPT) -> None:
        self.model, self.config, self.graph = model, model.config, Graph()
        add, numbers, config = self.graph.add, self.graph.numbers, model.config
        x = add("Gather", self.weight("token_embedding"), "tokens")  # [B, T, D]
        self.T = add("Shape", "tokens", start=1)
        embedding: Any = model.token_embedding
        if (scale := getattr(embedding, "scale" if hasattr(embedding, "weight") else "factor")) != 1.0:
            x = add("Mul", x, self.graph.real(scale))
        if model.position_embedding is not None:
            x = add("Add", x, self.first_rows("position_embedding", _table(model.position_embedding)))
        if model.rotary is not None:
            cos, sin = model.rotary.cos, model.rotary.sin  # [C, K/2]
            self.cos = self.first_rows("cos", torch.cat((cos, cos), -1))  # [T, K]
            self.sin = self.first_rows("sin", torch.cat((-sin, sin), -1))
        B_and_T, K = add("Shape", "tokens"), config.d_head
        n_grouped = config.n_heads // config.kv_heads
        self.as_queries = add("Concat", B_and_T, numbers(config.kv_heads, n_grouped, K), axis=0)
        self.as_keys = add("Concat", B_and_T, numbers(config.kv_heads, 1, K), axis=0)
        place = add("Range", self.scalar("first", 0), add("Squeeze", self.T), self.scalar("step", 1))
        earlier = (add("Unsqueeze", place, numbers(0)), add("Unsqueeze", place, numbers(1)))
        self.is_seen = add("LessOrEqual", *earlier)  # [T, T]
        x = add("Reshape", x, numbers(-1, config.d_model))
        for i in range(config.n_layers):
            x = self.residual(x, f"blocks.{i}.attention")
            x = self.residual(x, f"blocks.{i}.feed_forward")
        if config.norm_order == "pre":
            x = self.norm(x, "final_norm", config.norm)
        x = add("Gemm", x, self.weight("token_embedding" if model.output is None else "output"), transB=1)
        shape = add("Concat", B_and_T, numbers(model.vocab_size), axis=0)
        self.graph.nodes.append(Node("Reshape", (x, shape), "logits", {}))

    def weight(self, name: str) -> str:
        """Return the name of a module's weight; one in few bits becomes float32."""
        module: Any = self.model.get_submodule(name)
        if f"{name}.weight" not in self.graph.tensors:
            weight = module.dequantized() if hasattr(module, "kept") else module.weight
            self.graph.tensors[f"{name}.weight"] = weight.detach().float()
        return f"{name}.weight"

    def bias(self, name: str) -> Sequence[str]:
        """Return the name of a module's bias, if it has one."""
        bias = getattr(self.model.get_submodule(name), "bias", None)
        if bias is None:
            return ()
        self.graph.tensors[f"{name}.bias"] = bias.detach().float()
        return (f"{name}.bias",)

    def scalar(self, name: str, value: int) -> str:
        self.graph.tensors[name] = torch.tensor(value)
        return name

    def first_rows(self, name: str, table: Tensor) -> str:
        """Return the rows of a table [C, …] for positions 0 … T-1."""
        self.graph.tensors[name] = table.detach().float()
        return self.graph.add("Slice", name, self.graph.numbers(0), self.T, self.graph.numbers(0))

    def residual(self, x: str, name: str) -> str:
        sublayer = self.attention if name.endswith("attention") else self.feed_forward
        add, kind = self.graph.add, self.config.norm
        if self.config.norm_order == "pre":
            return add("Add", x, sublayer(self.norm(x, f"{name}_norm", kind), name))
        return self.norm(add("Add", x, sublayer(x, name)), f"{name}_norm", kind)

    def linear(self, x: str, name: str) -> str:
        return self.graph.add("Gemm", x, self.weight(name), *self.bias(name), transB=1)

    def norm(self, x: str, name: str, kind: str) -> str:
        add, epsilon = self.graph.add, self.config.norm_epsilon
        if kind == "layer":
            return add("LayerNormalization", x, self.weight(name), *self.bias(name), axis=-1, epsilon=epsilon)
        mean = add("ReduceMean", add("Mul", x, x), self.graph.numbers(-1))
        return add("Mul", add("Div", x, add("Sqrt", add("Add", mean, self.graph.real(epsilon)))), self.weight(name))

    def feed_forward(self, x: str, name: str) -> str:
        add, activation = self.graph.add, self.config.activation
        up = self.linear(x, f"{name}.up")
        if activation == "swiglu":
            gate = self.linear(x, f"{name}.gate")
            bent = add("Mul", add("Mul", gate, add("Sigmoid", gate)), up)
        elif activation in ("gelu", "gelu_tanh"):
            bent = add("Gelu", up, approximate="tanh" if activation == "gelu_tanh" else "none")
        else:
            bent = add("Relu", up)
            bent = add("Mul", bent, bent) if activation == "relu_squared" else bent
        return self.linear(bent, f"{name}.down")

    def attention(self, x: str, name: str) -> str:
        add, numbers, real = self.graph.add, self.graph.numbers, self.graph.real
        q = self.heads(x, f"{name}.query", self.as_queries)  # [B, G, R, T, K]
        k = self.heads(x, f"{name}.key", self.as_keys)  # [B, G, 1, T, K]
        v = self.heads(x, f"{name}.value", self.as_keys)
        q = add("Mul", q, real(self.config.d_head**-0.5))
        scores = add("MatMul", q, add("Transpose", k, perm=[0, 1, 2, 4, 3]))  # [B, G, R, T, T]
        weights = add("Softmax", add("Where", self.is_seen, scores, real(float("-inf"))), axis=-1)
        heads = add("Transpose", add("MatMul", weights, v), perm=[0, 3, 1, 2, 4])  # [B, T, G, R, K]
        return self.linear(add("Reshape", heads, numbers(-1, self.config.d_model)), f"{name}.output")

    def heads(self, x: str, name: str, shape: str) -> str:
        """Return queries, keys or values by head, normalized and turned where the model does."""
        add = self.graph.add
        x = add("Transpose", add("Reshape", self.linear(x, name), shape), perm=[0, 2, 3, 1, 4])
        if name.endswith("value"):
            return x
        if self.config.qk_norm:
            x = self.norm(x, f"{name}_norm", "rms")
        if self.model.rotary is None:
            return x
        numbers, K = self.graph.numbers, self.config.d_head
        first = add("Slice", x, numbers(0), numbers(K // 2), numbers(-1))
        second = add("Slice", x, numbers(K // 2), numbers(K), numbers(-1))
        turned = add("Mul", add("Concat", second, first, axis=-1), self.sin)
        return add("Add", add("Mul", x, self.cos), turned)


def _table(positions: LearnedPositions | SinusoidalPositions) -> Tensor:
    return positions.weight if isinstance(positions, LearnedPositions) else positions.table
