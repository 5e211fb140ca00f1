"""The memory a training run takes, part by part, from its config alone: no torch, no data, microseconds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from groundup.configs.run import DataConfig, RunConfig
from groundup.planning.activations import (
    FLOAT,
    Load,
    Pass,
    backward_workspace,
    evaluation,
    loss_and_logits,
    product_weights,
    saved_for_backward,
)
from groundup.planning.evaluations import evaluation_passes
from groundup.planning.parameters import count_parameters, vocabulary

Place = Literal["cpu", "cuda"]
"""Whose memory is meant: the process's own, or the GPU's."""

PROCESS: dict[Place, int] = {"cpu": 420_000_000, "cuda": 600_000_000}
"""Bytes taken before there is a model. cpu: Python, torch (a build for CPUs), TensorBoard, matplotlib and what they
load at the first step, as measured on Linux. cuda: the context and its libraries, a usual figure, not measured here."""
LARGE_TOKENIZER = 90_000_000
"""Bytes of a tokenizer with a large published vocabulary, its tables by hand and in the library."""
GPT2_VOCABULARY = 50_257
LOGITS_IN_EVALUATION = 1 << 25
"""Numbers that the language modelling task lets an evaluation hold as logits."""
WINDOWS_IN_EVALUATION = 64
"""Windows that it reads at once at most."""
CHARACTERS = 128
"""Assumed vocabulary of a character tokenizer before the text was read; an alphabet and its punctuation."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a run takes at its peak, and what they are for."""

    weights: int
    """Parameters in float32."""
    gradients: int
    """As many numbers again."""
    optimizer: int
    """Two moments of each parameter (AdamW), or one of each hidden matrix (Muon)."""
    activations: int
    """What the forward pass of one micro-batch keeps for its backward pass."""
    logits: int
    """Logits, loss and their gradients."""
    workspace: int
    """Gradients of activations, in the backward pass, as far as they come on top of the logits."""
    evaluation: int
    """What an evaluation takes on top of what training has taken."""
    cache: int
    """Keys and values while a sample is written. Training is at rest then, so it never adds to the peak."""
    process: int
    """Python, torch and other libraries, the tokenizer."""
    peak: int
    """The whole, at the moment when it is largest."""


def expected_vocabulary(config: RunConfig) -> int:
    """Return the vocabulary as far as it can be known before the text is read.

    bpe_vocab_size for a BPE (at most: the text may have fewer pairs), CHARACTERS for characters, unless the model asks
    for more.

    Example:
        >>> expected_vocabulary(RunConfig(data=DataConfig(tokenizer="gpt2")))
        50257
    """
    if config.model.vocab_size is not None:
        return config.model.vocab_size
    return {"characters": CHARACTERS, "bpe": config.data.bpe_vocab_size}.get(config.data.tokenizer, GPT2_VOCABULARY)


def with_vocabulary(config: RunConfig, vocab_size: int | None = None) -> RunConfig:
    """Return `config` with its vocabulary filled in where it is None."""
    if config.model.vocab_size is not None:
        return config
    size = expected_vocabulary(config) if vocab_size is None else vocab_size
    return replace(config, model=replace(config.model, vocab_size=size))


def estimate_memory(config: RunConfig, *, place: Place = "cpu") -> Memory:
    """Add up what `config` takes; its vocabulary is the expected one unless the model names it.

    The peak is that of a process on Linux, whose allocator keeps small tensors when they are freed and gives large ones
    back: small ones count as often as they are needed in the phase that needs most of them, so do large ones, and
    the two phases need not be the same.

    Args:
        config: the run.
        place: whose memory.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> memory = estimate_memory(RunConfig(model=GPTConfig(vocab_size=50_257, context_length=256)))
        >>> memory.weights, memory.optimizer
        (495399936, 990799872)
    """
    config = with_vocabulary(config)
    model, training = config.model, config.training
    step = Pass(
        model=model,
        batch=training.batch_size,
        is_bfloat16=training.precision == "bfloat16",
        is_masked=has_documents(config.data),
    )
    saved, loss, backward = saved_for_backward(step), loss_and_logits(step), backward_workspace(step)
    if training.accumulation_steps > 1:  # the token table's gradient is complete before it is added to the last one
        backward.add("token table", 1, FLOAT * vocabulary(model) * model.d_model)
    measuring = evaluation(replace(step, batch=evaluation_batch(config)))
    steps = [saved + loss, saved + backward]
    in_steps, in_all = _peak(steps, place), _peak([*steps, *measuring], place)
    weights, moments = FLOAT * count_parameters(model).total, optimizer_bytes(config)
    process = process_bytes(config, place)
    return Memory(
        weights=weights,
        gradients=weights,
        optimizer=moments,
        activations=saved.total,
        logits=loss.total,
        workspace=max(0, in_steps - saved.total - loss.total),
        evaluation=in_all - in_steps,
        cache=cache_bytes(config),
        process=process,
        peak=process + 2 * weights + moments + in_all,
    )


def _peak(phases: list[Load], place: Place) -> int:
    """Return the most that is taken over several phases, one after the other and again."""
    if place == "cuda":  # torch's allocator there lets any tensor use what another has freed
        return max(phase.total for phase in phases)
    return max(phase.small for phase in phases) + max(phase.large for phase in phases)


def optimizer_bytes(config: RunConfig) -> int:
    """Return the bytes of the optimizer's moments: two of each parameter, or with Muon one of each hidden matrix.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.configs.optimizer import OptimizerConfig
        >>> config = RunConfig(model=GPTConfig(vocab_size=65, d_model=64, n_heads=4, n_layers=2, bias=False))
        >>> muon = replace(config, training=replace(config.training, optimizer=OptimizerConfig(name="muon")))
        >>> optimizer_bytes(config) - optimizer_bytes(muon) == 4 * product_weights(config.model, head=False)
        True
    """
    moments = 2 * count_parameters(config.model).total
    if config.training.optimizer.name == "muon":
        moments -= product_weights(config.model, head=False)
    return FLOAT * moments


def cache_bytes(config: RunConfig) -> int:
    """Return the bytes of keys and values while a sample is written: 2 numbers a layer, key head column and token."""
    model, wanted = config.model, config.training.evaluation.sample_tokens
    tokens = min(model.context_length, wanted + 1) if wanted else 0
    return 2 * model.n_layers * model.d_head * model.kv_heads * tokens * FLOAT


def evaluation_batch(config: RunConfig) -> int:
    """Return how many windows an evaluation reads at once, as the language modelling task decides it."""
    model, max_tokens = config.model, config.training.evaluation.max_tokens
    most = min(WINDOWS_IN_EVALUATION, LOGITS_IN_EVALUATION // (model.context_length * vocabulary(model)))
    return max(1, min(most, evaluation_passes(max_tokens, model.context_length) - 1))  # the first window goes alone


def process_bytes(config: RunConfig, place: Place) -> int:
    """Return the bytes that are taken before there is a model."""
    is_large = place == "cpu" and config.data.tokenizer not in ("characters", "bpe")
    return PROCESS[place] + (LARGE_TOKENIZER if is_large else 0)


def has_documents(data: DataConfig) -> bool:
    """Tell whether attention is kept inside documents: a collection, and a tokenizer with an end-of-text token.

    Example:
        >>> has_documents(DataConfig(corpus="tales", tokenizer="bpe")), has_documents(DataConfig(corpus="tales"))
        (True, False)
    """
    is_collection = data.corpus == "tales" or Path(data.corpus).is_dir()
    return data.separate_documents and is_collection and data.tokenizer != "characters"
