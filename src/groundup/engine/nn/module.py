"""Module: parts of a model as attributes, and everything that has to be done with all of them at once.

A module holds parameters (what is learned), buffers (what is saved with them but not learned) and other modules. It
knows them because `__setattr__` sees every assignment: `self.weight = Parameter(…)` is filed under "weight". From these
three books follow all names: "layers.0.weight" is the parameter `weight` of the child `0` of the child `layers`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

from groundup.engine.dtypes import as_dtype, float32, float64, is_floating
from groundup.engine.errors import DTypeError
from groundup.engine.nn.hooks import ForwardHook, ForwardPreHook, RemovableHandle
from groundup.engine.nn.parameter import Parameter
from groundup.engine.nn.state_dict import LoadedKeys, collect, load
from groundup.engine.tensor import Tensor

Held = TypeVar("Held")


class Module:
    """The base of every layer and model: set parts as attributes in `__init__`, and write `forward`.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.factor = Parameter([2.0])
        ...
        ...     def forward(self, x: Tensor) -> Tensor:
        ...         return x * self.factor
        >>> scale = Scale()
        >>> scale(Tensor([1.0, 2.0])).tolist(), [name for name, _ in scale.named_parameters()]
        ([2.0, 4.0], ['factor'])
    """

    training: bool
    _parameters: "dict[str, Parameter | None]"
    _buffers: dict[str, Tensor | None]
    _modules: "dict[str, Module | None]"
    _not_saved: set[str]

    def __init__(self) -> None:
        self.training = True
        for book in ("_parameters", "_buffers", "_modules"):
            object.__setattr__(self, book, {})
        self._not_saved = set()
        self._forward_hooks: dict[RemovableHandle, ForwardHook] = {}
        self._forward_pre_hooks: dict[RemovableHandle, ForwardPreHook] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every module writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); write one that returns the output")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return forward(…), with the hooks before and after it."""
        if not (self._forward_hooks or self._forward_pre_hooks):
            return self.forward(*args, **kwargs)
        for pre_hook in tuple(self._forward_pre_hooks.values()):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks.values()):
            changed = hook(self, args, output)
            output = output if changed is None else changed
        return output

    # Filing what is assigned

    def __setattr__(self, name: str, value: Any) -> None:
        books = self.__dict__
        if isinstance(value, Parameter | Module):
            if "_modules" not in books:
                raise AttributeError(
                    f"{type(self).__name__}: {name} was assigned before super().__init__(); call that first"
                )
            for book in ("_parameters", "_buffers", "_modules"):
                if book != (mine := "_parameters" if isinstance(value, Parameter) else "_modules"):
                    books[book].pop(name, None)
            books.pop(name, None)
            books[mine][name] = value
            return
        for book, kind, wanted in (
            ("_parameters", "parameter", Parameter),
            ("_modules", "module", Module),
            ("_buffers", "buffer", Tensor),
        ):
            if name in books.get(book, ()):
                if value is not None and not isinstance(value, wanted):
                    raise TypeError(
                        f"{type(self).__name__}.{name} is a {kind}: assign a {wanted.__name__} or None, not "
                        f"{type(value).__name__}; to change a {kind}'s numbers, write to it under no_grad"
                    )
                books[book][name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # only called for what is not an ordinary attribute
        books = self.__dict__
        for book in ("_parameters", "_modules", "_buffers"):
            if name in books.get(book, ()):
                return books[book][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for book in (self._parameters, self._buffers, self._modules):
            if name in book:
                del book[name]
                self._not_saved.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """File a parameter; None keeps its name without one, as a layer without a bias does."""
        self._check(name, parameter, "_parameters", Parameter)
        self._parameters[name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """File a tensor that is not learned, such as a running mean; with `persistent` it is in the state dict."""
        self._check(name, tensor, "_buffers", Tensor)
        self._buffers[name] = tensor
        if not persistent:
            self._not_saved.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """File a module under a name that need not be a Python identifier, such as "0"."""
        self._check(name, module, "_modules", Module)
        self._modules[name] = module

    def _check(self, name: str, part: object, book: str, wanted: type) -> None:
        if not name or "." in name:
            raise KeyError(f"{name!r} cannot name a part: names are not empty and the dot separates them")
        if hasattr(self, name) and name not in getattr(self, book):
            raise KeyError(f"{type(self).__name__} already has an attribute {name!r}; choose another name")
        if part is not None and not isinstance(part, wanted):
            kind = part.__name__ if isinstance(part, type) else type(part).__name__
            missing = f"; {kind} is a class, write {kind}(…)" if isinstance(part, type) else ""
            raise TypeError(f"{type(self).__name__}: {name!r} must be a {wanted.__name__} or None, not {kind}{missing}")

    # Walking over all of them

    def named_modules(
        self, memo: "set[Module] | None" = None, prefix: str = "", remove_duplicate: bool = True
    ) -> "Iterator[tuple[str, Module]]":
        """Yield this module as `prefix` and all below it, each before its children; one that is held twice, once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(
        self, book: "Callable[[Module], dict[str, Held | None]]", prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Held]]:
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for place, module in modules:
            for name, held in book(module).items():
                if held is None or id(held) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(held))
                yield f"{place}.{name}" if place else name, held

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield name and parameter; a parameter that has two names (tied weights) under its first one only."""
        return self._named(lambda module: module._parameters, prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield name and buffer, also of those that are not saved."""
        return self._named(lambda module: module._buffers, prefix, recurse, remove_duplicate)

    def named_children(self) -> "Iterator[tuple[str, Module]]":
        """Yield name and module for those directly below."""
        children = self._named(lambda module: module._modules, "", False, True)
        return iter(children)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield each parameter once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield each buffer once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def children(self) -> "Iterator[Module]":
        """Yield the modules directly below."""
        return (module for _, module in self.named_children())

    def modules(self) -> "Iterator[Module]":
        """Yield this module and all below it."""
        return (module for _, module in self.named_modules())

    # What is done to all of them

    def apply(self, function: "Callable[[Module], object]") -> Self:
        """Call function(module) on every module below, then on this one; to set initial weights, say."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and below: what Dropout goes by."""
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set `training` to False here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set for every parameter whether it learns; False freezes them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, dtype: Any) -> Self:
        """Convert parameters and buffers of floats, in place, to float32 or float64; gradients are forgotten."""
        wanted = as_dtype(dtype)
        if not is_floating(wanted):
            raise DTypeError(f"to: parameters are floats, {wanted} is not; give float32 or float64")
        for held in (*self.parameters(), *self.buffers()):
            if is_floating(held.dtype):
                held.grad = None
                held.data = held.data.astype(wanted, copy=False)
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(float64)

    def register_forward_hook(self, hook: ForwardHook) -> RemovableHandle:
        """Call hook(module, arguments, output) after every forward; what it returns, unless None, is the output."""
        return RemovableHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: ForwardPreHook) -> RemovableHandle:
        """Call hook(module, arguments) before every forward; what it returns, unless None, are the arguments."""
        return RemovableHandle(self._forward_pre_hooks, hook)

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Return names and tensors of all that is to be saved, on the module's own memory, as torch orders them."""
        return collect(self, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadedKeys:
        """Copy tensors or arrays into the parameters and buffers of the same names; all of them, or none at all.

        Args:
            state_dict: by name; anything NumPy can read, torch's tensors too. Floats are converted as they are copied.
            strict: refuse names that are missing here or there. Shapes must agree in any case.

        Raises:
            StateDictError: what does not fit, all of it; nothing has been copied then.
        """
        return load(self, state_dict, strict)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the module's line when it is printed."""
        return ""

    def _parts(self) -> list[tuple[str, str]]:
        """Return label and text of each child, as they stand in the printed tree."""
        return [(f"({name})", repr(module)) for name, module in self._modules.items() if module is not None]

    def __repr__(self) -> str:
        lines = "".join(f"\n  {label}: " + text.replace("\n", "\n  ") for label, text in self._parts())
        return f"{type(self).__name__}({self.extra_repr()}" + (f"{lines}\n)" if lines else ")")
