"""The families of published models that `GPT` covers: their config.json to a `GPTConfig`, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from groundup.configs.model import Activation, GPTConfig
from groundup.errors import InputError

Family = Literal["gpt2", "llama", "mistral", "qwen2", "qwen3"]
"""A config.json's model_type."""

ARCHITECTURES: dict[Family, str] = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""What `transformers` calls each family's language model."""
GPT2_ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "relu2": "relu_squared",
}
"""Their names of the non-linearities in a plain feed-forward layer; the first of two for one is what we write."""


@dataclass(frozen=True)
class Described:
    """What a config.json says."""

    family: Family
    """Which names and layouts the weights have."""
    config: GPTConfig
    """Sizes and parts. Dropout is 0: whoever trains on chooses it."""


def read_config(document: Mapping[str, Any], *, source: str) -> Described:
    """Return the family and the config that a config.json describes.

    Args:
        document: the JSON object.
        source: its path, for messages.

    Raises:
        InputError: another architecture, or a part that `GPT` lacks (scaled rotary positions, a sliding window, …),
            by its name in the file; a size that is missing or impossible.

    Example:
        >>> sizes = {"vocab_size": 50_257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}
        >>> from groundup.configs.model import preset
        >>> read_config({"model_type": "gpt2", **sizes}, source="config.json").config == preset("gpt2")
        True
    """
    family = document.get("model_type")
    if not isinstance(family, str) or family not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"expected a model_type of {known} in {source}, found {family!r}: this model cannot be loaded")
    architectures = document.get("architectures") or [ARCHITECTURES[family]]
    base = ARCHITECTURES[family].replace("LMHeadModel", "Model").replace("ForCausalLM", "Model")
    if not isinstance(architectures, list) or architectures[0] not in (ARCHITECTURES[family], base):
        raise InputError(f"expected the architecture {ARCHITECTURES[family]} in {source}, found {architectures!r}")
    if document.get("quantization_config"):
        raise InputError(f"expected plain weights in {source}, found quantization_config: load the original model")
    try:
        config = _read_gpt2(document, source) if family == "gpt2" else _read_llama(family, document, source)
    except InputError as error:
        raise error if source in str(error) else InputError(f"{error} (in {source})") from None
    return Described(family, config)


def family_of(config: GPTConfig) -> Family:
    """Return the family that a config belongs to.

    GPT-2 without biases counts as GPT-2: its file holds zeros for them.

    Raises:
        InputError: no published family has these parts together, naming the first that stands in the way.

    Example:
        >>> family_of(GPTConfig(position="rotary", norm="rms", activation="swiglu", bias=False))
        'llama'
    """
    if config.position == "rotary":
        _require(config, "a Llama family", norm="rms", norm_order="pre", activation="swiglu")
        kinds: dict[tuple[bool, bool, bool], Family] = {  # by bias, has_qkv_bias, qk_norm
            (False, False, False): "llama",
            (True, True, False): "llama",
            (False, True, False): "qwen2",
            (False, False, True): "qwen3",
        }
        parts = (config.bias, config.has_qkv_bias, config.qk_norm)
        if parts not in kinds:
            found = f"bias={parts[0]}, qkv_bias={parts[1]}, qk_norm={parts[2]}"
            raise InputError(f"expected the parts of a Llama family, found {found}: no family has these together")
        return kinds[parts]
    _require(config, "GPT-2", position="learned", norm="layer", norm_order="pre", qk_norm=False)
    if config.activation == "swiglu" or config.kv_heads != config.n_heads:
        found = "activation=swiglu" if config.activation == "swiglu" else f"n_kv_heads={config.kv_heads}"
        raise InputError(f"expected the parts of GPT-2, found {found} with learned positions: no family has this")
    return "gpt2"


def write_config(config: GPTConfig) -> dict[str, Any]:
    """Return the config.json of a model that `transformers` builds with the same parts; ids of tokens are not in it.

    Raises:
        InputError: no published family has these parts together: see `family_of`.

    Example:
        >>> from groundup.configs.model import preset
        >>> written = write_config(preset("smollm2-135m"))
        >>> written["architectures"], written["num_key_value_heads"], written["rope_theta"]
        (['LlamaForCausalLM'], 3, 100000.0)
        >>> read_config(written, source="here").config == preset("smollm2-135m")
        True
    """
    family = family_of(config)
    shared = {
        "architectures": [ARCHITECTURES[family]],
        "model_type": family,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_embeddings,
        "dtype": "float32",
        "torch_dtype": "float32",  # as transformers called it before version 5
        "initializer_range": 0.02,
        "use_cache": True,
    }
    if family == "gpt2":
        names = {ours: theirs for theirs, ours in reversed(GPT2_ACTIVATIONS.items())}
        return shared | {
            "n_positions": config.context_length,
            "n_embd": config.d_model,
            "n_layer": config.n_layers,
            "n_head": config.n_heads,
            "n_inner": config.d_ff,
            "activation_function": names[config.activation],
            "layer_norm_epsilon": config.norm_epsilon,
            "attn_pdrop": config.dropout,
            "embd_pdrop": config.dropout,
            "resid_pdrop": config.dropout,
        }
    biases = {"llama": {"attention_bias": config.bias, "mlp_bias": config.bias}, "qwen3": {"attention_bias": False}}
    return (
        shared
        | {
            "hidden_size": config.d_model,
            "intermediate_size": config.feed_forward_width,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.kv_heads,
            "head_dim": config.d_head,
            "hidden_act": "silu",
            "max_position_embeddings": config.context_length,
            "rms_norm_eps": config.norm_epsilon,
            "attention_dropout": config.dropout,
            "rope_theta": config.rotary_base,  # before version 5
            "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        }
        | biases.get(family, {})
    )


def _read_gpt2(document: Mapping[str, Any], source: str) -> GPTConfig:
    has = _Fields(document, source)
    has.only("scale_attn_weights", True)
    has.only("scale_attn_by_inverse_layer_idx", False)
    has.only("add_cross_attention", False)
    activation = document.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in GPT2_ACTIVATIONS:
        raise has.unknown("activation_function", " or ".join(GPT2_ACTIVATIONS))
    return GPTConfig(
        vocab_size=has.size("vocab_size"),
        context_length=has.size("n_positions"),
        d_model=has.size("n_embd"),
        n_layers=has.size("n_layer"),
        n_heads=has.size("n_head"),
        d_ff=None if document.get("n_inner") is None else has.size("n_inner"),
        norm_epsilon=has.number("layer_norm_epsilon", 1e-5),
        activation=GPT2_ACTIVATIONS[activation],
        tie_embeddings=has.flag("tie_word_embeddings", True),
    )


def _read_llama(family: Family, document: Mapping[str, Any], source: str) -> GPTConfig:
    has = _Fields(document, source)
    has.only("hidden_act", "silu")
    d_model, n_heads, context = has.size("hidden_size"), has.size("num_attention_heads"), has.size(_CONTEXT)
    d_head = document.get("head_dim", 128 if family == "qwen3" else None)
    if d_head is not None and d_head * n_heads != d_model:
        raise InputError(
            f"expected head_dim to be hidden_size / num_attention_heads = {d_model / n_heads:g} in {source}, found "
            f"{d_head}: this model cannot be loaded"
        )
    _refuse_windows(family, document, context, source)
    bias = family == "llama" and has.flag("mlp_bias", False)
    if family in ("llama", "qwen3") and has.flag("attention_bias", False) != bias:
        # It is of the output projection too, which in a GPT has a bias where the feed-forward layer has.
        raise has.unknown("attention_bias", f"{bias} as mlp_bias is")
    return GPTConfig(
        vocab_size=has.size("vocab_size"),
        context_length=context,
        d_model=d_model,
        n_layers=has.size("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=None if document.get(_KV_HEADS) is None else has.size(_KV_HEADS),
        d_ff=has.size("intermediate_size"),
        position="rotary",
        rotary_base=_rotary_base(document, source),
        norm="rms",
        norm_epsilon=has.number("rms_norm_eps", 1e-6),
        activation="swiglu",
        qk_norm=family == "qwen3",
        bias=bias,
        qkv_bias=True if family == "qwen2" else None,
        tie_embeddings=has.flag("tie_word_embeddings", False),
    )


_CONTEXT, _KV_HEADS = "max_position_embeddings", "num_key_value_heads"


def _rotary_base(document: Mapping[str, Any], source: str) -> float:
    """Return the base; transformers keeps it in rope_parameters from version 5 on, before that beside rope_scaling."""
    rope = document.get("rope_parameters") or document.get("rope_scaling") or {}
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        raise InputError(f"expected rope_parameters that all layers share in {source}, found {str(rope)[:80]!r}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise InputError(f"expected rotary positions that are not scaled in {source}, found rope_type {kind!r}")
    _Fields({**document, **rope}, source).only("partial_rotary_factor", 1.0)
    return _Fields({**document, **rope}, source).number("rope_theta", 10_000.0)


def _refuse_windows(family: Family, document: Mapping[str, Any], context: int, source: str) -> None:
    window = document.get("sliding_window", 4096 if family == "mistral" else None)
    if family != "mistral" and not document.get("use_sliding_window", False):
        window = None
    if isinstance(window, int) and window < context:  # one that is as long as the context hides nothing
        raise InputError(f"expected attention to all earlier tokens in {source}, found sliding_window {window}")
    kinds = document.get("layer_types") or []
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind != "full_attention" and not (kind == "sliding_attention" and window is not None):
            raise InputError(f"expected layer_types of full_attention in {source}, found {kind!r}")


def _require(config: GPTConfig, family: str, **parts: object) -> None:
    for name, expected in parts.items():
        if getattr(config, name) != expected:
            found = f"{name}={getattr(config, name)}"
            raise InputError(f"expected {name}={expected} as {family} has, found {found}: no family has these together")


@dataclass(frozen=True)
class _Fields:
    """A config.json, asked for fields of one type."""

    document: Mapping[str, Any]
    source: str

    def unknown(self, name: str, expected: str) -> InputError:
        found = self.document.get(name, "nothing")
        return InputError(f"expected {name} to be {expected} in {self.source}, found {str(found)[:80]!r}")

    def size(self, name: str) -> int:
        value = self.document.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.unknown(name, "a whole number from 1")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.document.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e300:
            raise self.unknown(name, "a number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.document.get(name, default)
        if not isinstance(value, bool):
            raise self.unknown(name, "true or false")
        return value

    def only(self, name: str, expected: object) -> None:
        if self.document.get(name, expected) != expected:
            raise self.unknown(name, f"{expected!r}, all that can be loaded,")
