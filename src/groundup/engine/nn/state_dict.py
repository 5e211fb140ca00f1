"""State dicts: a module's tensors by name, and back into a module, with every misfit named at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from groundup.engine.autograd import no_grad
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

if TYPE_CHECKING:
    from groundup.engine.nn.module import Module


class StateDictError(RuntimeError):
    """A state dict that does not fit the module; the message lists every misfit."""


class LoadedKeys(NamedTuple):
    """What `load` did not find: empty lists if everything fitted."""

    missing_keys: list[str]
    """Names in the module that the state dict does not have."""
    unexpected_keys: list[str]
    """Names in the state dict that the module does not have."""


def collect(module: "Module", prefix: str = "") -> dict[str, Tensor]:
    """Return name -> tensor, detached: of each module its parameters, its persistent buffers, then its children's.

    A tensor with two names (tied weights) is there twice, so that either name can be loaded.
    """
    found = {
        name: held
        for name, held in (*module._parameters.items(), *module._buffers.items())
        if held is not None and name not in module._not_saved
    }
    state = {prefix + name: held.detach() for name, held in found.items()}
    for name, child in module._modules.items():
        if child is not None:
            state |= collect(child, f"{prefix}{name}.")
    return state


def load(module: "Module", state_dict: Mapping[str, Any], strict: bool) -> LoadedKeys:
    """Copy what is given into the module's tensors of the same names; see `Module.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected names and tensors, found a {type(state_dict).__name__}")
    wanted = collect(module)
    missing = [name for name in wanted if name not in state_dict]
    unexpected = [name for name in state_dict if name not in wanted]
    arrays = {name: _array(state_dict[name]) for name in wanted if name in state_dict}
    problems = []
    if strict:
        problems += [f"missing: {name} {_described(wanted[name].data)}" for name in missing]
        problems += [f"unexpected: {name} {_described(_array(state_dict[name]))}" for name in unexpected]
    for name, array in arrays.items():
        target = wanted[name].data
        if array.dtype.kind not in "biufc":
            problems.append(f"kind: {name} is a {type(state_dict[name]).__name__}, not a tensor or an array of numbers")
        elif array.shape != target.shape:
            problems.append(f"shape: {name} is {list(array.shape)}, the module has {list(target.shape)}")
        elif not np.can_cast(array.dtype, target.dtype, "same_kind"):
            problems.append(f"dtype: {name} is {array.dtype}, the module has {target.dtype}")
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems + _hints(missing, unexpected, strict))
        count = "one thing does" if len(problems) == 1 else f"{len(problems)} things do"
        raise StateDictError(f"load_state_dict: {count} not fit {type(module).__name__}; nothing was loaded{lines}")
    with no_grad():
        for name, array in arrays.items():
            wanted[name].copy_(array)
    return LoadedKeys(missing, unexpected)


def _array(value: Any) -> Array:
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _described(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _hints(missing: list[str], unexpected: list[str], strict: bool) -> list[str]:
    """Return what to do about names: whether a prefix is all that differs, else what strict=False does."""
    if not strict or not (missing or unexpected):
        return []
    for name in missing:
        for other in unexpected:
            longer, shorter = (other, name) if len(other) > len(name) else (name, other)
            prefix = longer.removesuffix(shorter)
            if prefix.endswith("."):
                what = "remove" if longer is other else "add"
                return [f"hint: names differ by {prefix!r}; {what} it in front of the state dict's names"]
    return ["hint: strict=False loads what fits by name, and returns the names that were left out"]
