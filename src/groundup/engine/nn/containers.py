"""Modules that hold modules: in a chain, in a list, by name."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self, overload

from groundup.engine.nn.module import Module


class Sequential(Module):
    """Each module is given the output of the one before.

    Args:
        modules: in order; they are named "0", "1", …

    Example:
        >>> from groundup.engine import nn, ones
        >>> Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))(ones(3, 4)).shape
        (3, 2)
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def forward(self, x: Any) -> Any:
        """Return x passed through all of them."""
        for module in self:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return (module for module in self._modules.values() if module is not None)

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]


class ModuleList(Module):
    """A list of modules whose parameters are found; it has no forward, its owner decides what to do with them.

    Args:
        modules: in order; they are named "0", "1", …

    Example:
        >>> from groundup.engine import nn
        >>> layers = ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        >>> [name for name, _ in layers.named_parameters()]
        ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return (module for module in self._modules.values() if module is not None)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> "ModuleList": ...
    def __getitem__(self, index: int | slice) -> "Module | ModuleList":
        chosen = list(self)[index]
        return chosen if isinstance(chosen, Module) else ModuleList(chosen)

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, str(range(len(self))[index]), module)

    def _parts(self) -> list[tuple[str, str]]:
        """Return neighbours that print alike as one: "(0-11): 12 x Block(…)"."""
        parts, first = [], 0
        for text, alike in groupby(repr(module) for module in self):
            n = len(list(alike))
            parts.append((f"({first})", text) if n == 1 else (f"({first}-{first + n - 1})", f"{n} x {text}"))
            first += n
        return parts


class ModuleDict(Module):
    """Modules by name, whose parameters are found.

    Args:
        modules: names and modules.

    Example:
        >>> from groundup.engine import nn
        >>> [name for name, _ in ModuleDict({"head": nn.Linear(2, 2)}).named_parameters()]
        ['head.weight', 'head.bias']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return names and modules."""
        return [(name, module) for name, module in self._modules.items() if module is not None]

    def __getitem__(self, name: str) -> Module:
        found = self._modules[name]
        assert found is not None
        return found

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules
