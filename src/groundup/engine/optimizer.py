"""What all optimizers share: groups of parameters with options, and states that can be saved and loaded."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from groundup.engine import changes
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

BLOCK = 65_536
"""Numbers updated at a time. An update reads and writes the same four arrays in a dozen lines; in pieces of 256 KiB
they stay in the processor's cache from one line to the next. AdamW on 2048 x 2048 numbers takes 12 ms so, 20 ms in one
piece and 14 in pieces of 16,384 (one thread)."""


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Cut arrays of one shape into flat views of at most BLOCK numbers; strided ones come whole."""
    if not all(array.flags.c_contiguous for array in arrays):
        yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, BLOCK):
        yield tuple(array[start : start + BLOCK] for array in flat)


class Optimizer:
    """Parameters in groups with options, and a state for each parameter; a kind of optimizer adds `_update`.

    Args:
        params: parameters, or groups of them: dicts with "params" and options that differ from the defaults.
        defaults: options of the groups that do not set them.

    Raises:
        ValueError: no parameter, a parameter given twice, one that is the result of an operation, or an unknown option.
        TypeError: something that is not a Tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor):
            raise TypeError(f"{type(self).__name__}: expected a list of parameters, found one tensor; give [tensor]")
        given = list(params)
        if not given:
            raise ValueError("an optimizer needs parameters, found none; pass model.parameters()")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters to train, with options of their own; see the class for the errors."""
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f"{name}: a group of parameters is a dict with 'params' in it, found {group!r:.60}")
        unknown = group.keys() - self.defaults.keys() - {"params"}
        if unknown:
            raise ValueError(f"{name} has no option {sorted(unknown)[0]!r}: known are {', '.join(self.defaults)}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name} trains Tensors, found {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{name} trains leaves, found a result of {p.grad_fn}; pass what it was computed from")
            if id(p) in known:
                raise ValueError(f"a parameter of shape {p.shape} is given to {name} twice; it would move twice a step")
            known.add(id(p))
        full = {**self.defaults, **group, "params": params}
        self._check(full)
        self.param_groups.append(full)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with `set_to_none=False` fill them with zeros, which keeps their memory."""
        for p in self._parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.data.fill(0)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p.data, np.asarray(p.grad.data, order="C"), self.state.setdefault(p, {}), group)
                    changes.note(p.data)  # a backward pass that still needed the old numbers says so

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: states by the number of their parameter, and groups with such numbers.

        Arrays are the optimizer's own, not copies: write them down before the next step.
        """
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        groups = [{**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": {numbers[id(p)]: dict(state) for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over copies of the states and the options of `state_dict`; the parameters stay this optimizer's.

        Raises:
            ValueError: it is of other groups, of other options, or of parameters of other shapes.
        """
        name = type(self).__name__
        if not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError(
                f"{name}: a state has 'state' and 'param_groups', found {', '.join(state_dict) or 'nothing'}"
            )
        groups = state_dict["param_groups"]
        found, expected = ([len(group["params"]) for group in some] for some in (groups, self.param_groups))
        if found != expected:
            raise ValueError(f"{name} has groups of {expected} parameters, found a state of groups of {found}")
        for group in groups:
            differing = (group.keys() - {"initial_lr"}) ^ {"params", *self.defaults}
            if differing:
                raise ValueError(f"{name} and the state differ in the options {', '.join(sorted(differing))}")
        params = list(self._parameters())
        states = {params[int(n)]: self._adopted(state, params[int(n)]) for n, state in state_dict["state"].items()}
        for mine, group in zip(self.param_groups, groups, strict=True):
            mine.update({key: value for key, value in group.items() if key != "params"})
        self.state = states

    def _adopted(self, state: Mapping[str, Any], p: Tensor) -> dict[str, Any]:
        """Return a copy of one parameter's state: the number of steps, and arrays of the parameter's shape."""
        adopted: dict[str, Any] = {}
        for key, value in state.items():
            adopted[key] = int(value) if key == "step" else np.asarray(value).astype(p.dtype)
            if key != "step" and adopted[key].shape != p.shape:
                raise ValueError(f"{key} of a parameter of shape {p.shape} has the shape {adopted[key].shape}")
        return adopted

    def _parameters(self) -> Iterator[Tensor]:
        return (p for group in self.param_groups for p in group["params"])

    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError if an option is out of its range."""
        for key, value in options.items():
            if key in ("lr", "momentum", "weight_decay", "eps") and not value >= 0:
                raise ValueError(f"{type(self).__name__}: {key} must be at least 0, found {value}")
        betas = options.get("betas", (0, 0))
        if not isinstance(betas, tuple | list) or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers in [0, 1), found {betas}")

    def _update(self, p: Array, g: Array, state: dict[str, Any], group: Mapping[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must say in _update how a parameter moves")
