"""Learning rate schedules: the rate of a step is a function of its number, written into an optimizer's groups.

Names and arguments are torch.optim.lr_scheduler's. A schedule counts calls of `step()` from 0 and gives each group the
rate `rate(step, base)`, where base is the rate that the group was made with. Because it is such a function, and not a
rule that turns the last rate into the next, a run can be resumed at any step, and errors of rounding do not add up.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from groundup.engine.optimizer import Optimizer


class Schedule:
    """Counts steps and sets rates; a kind of schedule adds `rate`. One schedule at a time steers an optimizer.

    The first rate is set at once: the order in a training loop is loss.backward(), optimizer.step(), schedule.step().
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = _checked(self, optimizer)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])  # remembered there: state_dict of the optimizer carries it
        self.last_epoch = 0
        self._set_rates()

    def rate(self, step: int, base: float) -> float:
        """Return the rate after `step` calls of `step()` of a group that was made with the rate `base`."""
        raise NotImplementedError(f"{type(self).__name__} must say in rate(step, base) what the rate is")

    def step(self) -> None:
        """Count one more step and set the rates that follow it."""
        self.last_epoch += 1
        self._set_rates()

    def get_last_lr(self) -> list[float]:
        """Return the rates in force, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, int]:
        """Return what a resumed run needs: the number of steps."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        """Go on from a number of steps; unlike torch's, this sets the rates too."""
        self.last_epoch = state_dict["last_epoch"]
        self._set_rates()

    def _set_rates(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._rates(self.last_epoch), strict=True):
            group["lr"] = rate

    def _rates(self, step: int) -> list[float]:
        return [self.rate(step, group["initial_lr"]) for group in self.optimizer.param_groups]


class LambdaLR(Schedule):
    """The base rate times what a function makes of the step.

    Args:
        optimizer: whose rates to set.
        lr_lambda: step -> factor; or a list of such functions, one for each group.

    Raises:
        ValueError: a list of another length than the groups.

    Example:
        >>> from groundup.engine.optim import SGD
        >>> from groundup.engine.tensor import Tensor
        >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=8.0)
        >>> schedule = LambdaLR(optimizer, lambda step: 0.5**step)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [4.0]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        n_groups = len(_checked(self, optimizer).param_groups)
        self.lr_lambdas = [lr_lambda] * n_groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != n_groups:
            raise ValueError(f"LambdaLR needs a function for each of {n_groups} groups, found {len(self.lr_lambdas)}")
        super().__init__(optimizer)

    def _rates(self, step: int) -> list[float]:
        groups = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["initial_lr"] * factor(step) for group, factor in groups]


class StepLR(Schedule):
    """base · gammaᵏ, where k counts the whole `step_size` steps that are done.

    Args:
        optimizer: whose rates to set.
        step_size: steps between two falls, at least 1.
        gamma: factor of a fall.

    Raises:
        ValueError: a step_size below 1.

    Example:
        >>> from groundup.engine.optim import SGD
        >>> from groundup.engine.tensor import Tensor
        >>> schedule = StepLR(SGD([Tensor([1.0], requires_grad=True)]), step_size=2, gamma=0.5)
        >>> [schedule.rate(step, base=8.0) for step in range(5)]
        [8.0, 8.0, 4.0, 4.0, 2.0]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be at least 1, found {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, step: int, base: float) -> float:
        """Return base · gamma^⌊step / step_size⌋."""
        return base * self.gamma ** (step // self.step_size)


class LinearLR(Schedule):
    """From start_factor · base in a line to end_factor · base over `total_iters` steps, and there from then on.

    As a warmup it goes before another schedule (see SequentialLR): Adam's first steps, taken while its running means
    hold few gradients, are the least reliable ones.

    Args:
        optimizer: whose rates to set.
        start_factor: at step 0, above 0 and at most 1.
        end_factor: from step total_iters on, 0 to 1.
        total_iters: steps of the line, at least 1.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> from groundup.engine.optim import SGD
        >>> from groundup.engine.tensor import Tensor
        >>> schedule = LinearLR(SGD([Tensor([1.0], requires_grad=True)]), start_factor=0.25, total_iters=3)
        >>> [schedule.rate(step, base=8.0) for step in range(5)]
        [2.0, 4.0, 6.0, 8.0, 8.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                "LinearLR: start_factor must be above 0 and both factors at most 1, end_factor at least 0; "
                f"found {start_factor} and {end_factor}"
            )
        if total_iters < 1:
            raise ValueError(f"LinearLR: total_iters must be at least 1, found {total_iters}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, step: int, base: float) -> float:
        """Return base · (start_factor + (end_factor - start_factor) · step / total_iters), the last from its end on."""
        progress = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * progress)


class CosineAnnealingLR(Schedule):
    """Half a period of a cosine from base down to eta_min in `T_max` steps (Loshchilov and Hutter 2017, SGDR, eq. 5).

        rate = eta_min + (base - eta_min) · (1 + cos(π · step / T_max)) / 2

    Slow at both ends and steepest half-way. As in torch, it rises again after T_max steps.

    Args:
        optimizer: whose rates to set.
        T_max: steps of the half period, at least 1.
        eta_min: the lowest rate.

    Raises:
        ValueError: T_max below 1.

    Example:
        >>> from groundup.engine.optim import SGD
        >>> from groundup.engine.tensor import Tensor
        >>> schedule = CosineAnnealingLR(SGD([Tensor([1.0], requires_grad=True)]), T_max=4)
        >>> [round(schedule.rate(step, base=8.0), 4) for step in range(5)]
        [8.0, 6.8284, 4.0, 1.1716, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be at least 1, found {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, step: int, base: float) -> float:
        """Return the formula of the class."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class SequentialLR(Schedule):
    """One schedule after another: warmup and cosine, for instance. Each counts from 0 at its milestone.

    Args:
        optimizer: whose rates to set.
        schedulers: of this optimizer, in their order.
        milestones: the steps at which the second and each later one take over, rising.

    Raises:
        ValueError: milestones that do not rise, or are not one less than the schedules; schedules of another optimizer.

    Example:
        >>> from groundup.engine.optim import SGD
        >>> from groundup.engine.tensor import Tensor
        >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=8.0)
        >>> warmup = LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> schedule = SequentialLR(optimizer, [warmup, CosineAnnealingLR(optimizer, T_max=2)], milestones=[2])
        >>> [round(schedule.rate(step, base=8.0), 4) for step in range(5)]
        [4.0, 6.0, 8.0, 4.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        if len(milestones) != len(schedulers) - 1 or sorted({0, *milestones}) != [0, *milestones]:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} rising milestones above 0, "
                f"found {self.milestones}"
            )
        if any(schedule.optimizer is not optimizer for schedule in schedulers):
            raise ValueError("SequentialLR: every schedule must be made for the optimizer given, found another one's")
        super().__init__(optimizer)

    def _rates(self, step: int) -> list[float]:
        start, schedule = self._current(step)
        return schedule._rates(step - start)

    def rate(self, step: int, base: float) -> float:
        """Return the rate of the schedule whose turn it is."""
        start, schedule = self._current(step)
        return schedule.rate(step - start, base)

    def _current(self, step: int) -> tuple[int, Schedule]:
        starts = zip([0, *self.milestones], self.schedulers, strict=True)
        return max((pair for pair in starts if pair[0] <= step), key=lambda pair: pair[0])


def _checked(schedule: Schedule, optimizer: Optimizer) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__}: expected an optimizer first, found {type(optimizer).__name__}")
    return optimizer
