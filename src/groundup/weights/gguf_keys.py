"""From a `GPTConfig` to the metadata of a GGUF file: what `gguf_config` reads, written; what it lacks is refused."""

from typing import Any

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.weights.families import family_of


def architecture_of(config: GPTConfig) -> str:
    """Return llama.cpp's name of the architecture that has the parts of `config`: gpt2, llama, qwen2 or qwen3.

    Raises:
        InputError: none has these parts together, naming the first that stands in the way.

    Example:
        >>> from groundup.configs.model import preset
        >>> architecture_of(preset("smollm2-135m"))
        'llama'
    """
    family = family_of(config)
    if family == "gpt2" and config.activation != "gelu_tanh":
        raise _unheld("activation=gelu_tanh, all that its gpt2 computes", f"activation={config.activation}")
    if family == "llama" and config.bias:
        raise _unheld("a Llama without biases", "bias=True")
    return family


def config_keys(config: GPTConfig) -> dict[str, Any]:
    """Return the keys of the architecture, its name in front of each.

    Raises:
        InputError: see `architecture_of`.

    Example:
        >>> from groundup.configs.model import preset
        >>> keys = config_keys(preset("smollm2-135m"))
        >>> keys["llama.attention.head_count_kv"], keys["llama.rope.dimension_count"]
        (3, 64)
    """
    architecture = architecture_of(config)
    epsilon = "layer_norm_epsilon" if config.norm == "layer" else "layer_norm_rms_epsilon"
    keys: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "context_length": config.context_length,
        "embedding_length": config.d_model,
        "block_count": config.n_layers,
        "feed_forward_length": config.feed_forward_width,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.kv_heads,
        f"attention.{epsilon}": float(config.norm_epsilon),
    }
    if config.position == "rotary":
        keys |= {
            "rope.freq_base": float(config.rotary_base),
            "rope.dimension_count": config.d_head,
            "attention.key_length": config.d_head,
            "attention.value_length": config.d_head,
        }
    return {f"{architecture}.{key}": value for key, value in keys.items()}


def _unheld(expected: str, found: str) -> InputError:
    return InputError(f"expected a model that llama.cpp runs, {expected}, found {found}: take --to hf")
