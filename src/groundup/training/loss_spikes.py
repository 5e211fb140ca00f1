"""Tells a spike of the training loss from its usual noise, by the median and the spread of the last losses."""

import statistics
from collections import deque
from typing import Any

WINDOW = 128
"""Losses that the usual is taken from: enough for a steady spread, few enough to follow a loss that falls."""
FEWEST = 32
"""Losses seen before anything is called unusual."""
REFRESH = 16
"""Steps between new medians: two sorts of the window cost 20 µs, which a step of 2 ms would notice."""
NORMAL = 1.4826
"""Median distance from the median, times this, is the standard deviation of normal noise."""
RELATIVE_FLOOR, ABSOLUTE_FLOOR = 0.01, 0.01
"""Least deviation, as a fraction of the median and in nats: a loss that hardly moves must not make a ripple a spike."""


class LossSpikes:
    """Robust z-scores of losses: (loss - median) / (1.4826 · median absolute deviation) of the last ones.

    Median and spread hardly move when a few losses are far off (Hampel 1974, "The influence curve and its role in
    robust estimation"), so a spike does not hide the next one, as it would by raising a mean and standard deviation.

    Example:
        >>> spikes = LossSpikes()
        >>> scores = [spikes.score(2.0 + 0.1 * (i % 3)) for i in range(100)]
        >>> max(scores), round(spikes.score(3.1), 1), spikes.median
        (0.6744907594765952, 6.7, 2.1)
    """

    def __init__(self) -> None:
        self.median = self.deviation = 0.0
        self.lowest: float | None = None
        self._lowest_deviation = 0.0
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._medians: deque[float] = deque(maxlen=WINDOW // 2 // REFRESH + 1)  # from now to half a window ago
        self._until_refresh = FEWEST

    def score(self, loss: float) -> float:
        """Return by how many deviations `loss` is above the median of those before it, and take it in; 0 at first."""
        score = (loss - self.median) / self.deviation if self.deviation else 0.0
        self._losses.append(loss)
        self._until_refresh -= 1
        if self._until_refresh == 0:
            self._until_refresh = REFRESH
            self.median = statistics.median(self._losses)
            spread = NORMAL * statistics.median(abs(one - self.median) for one in self._losses)
            self.deviation = max(spread, RELATIVE_FLOOR * abs(self.median), ABSOLUTE_FLOOR)
            self._medians.append(self.median)
            if len(self._losses) == WINDOW and (self.lowest is None or self.median < self.lowest):
                self.lowest, self._lowest_deviation = self.median, self.deviation
        return score

    @property
    def rise(self) -> float:
        """By how many deviations of then the median is above the lowest that it has been, of whole windows.

        Not of now: a loss that climbs spreads its window, and would be measured by its own climb.
        """
        return 0.0 if self.lowest is None else (self.median - self.lowest) / self._lowest_deviation

    @property
    def is_falling(self) -> bool:
        """Whether the median is below that of half a window ago; true as long as there was none."""
        return len(self._medians) < (self._medians.maxlen or 0) or self._medians[-1] < self._medians[0]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON can hold it."""
        return {
            "losses": list(self._losses),
            "medians": list(self._medians),
            "median": self.median,
            "deviation": self.deviation,
            "lowest": self.lowest,
            "lowest_deviation": self._lowest_deviation,
            "until_refresh": self._until_refresh,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._losses = deque(state["losses"], maxlen=WINDOW)
        self._medians.extend(state["medians"])
        self.median, self.deviation = state["median"], state["deviation"]
        self.lowest, self._lowest_deviation = state["lowest"], state["lowest_deviation"]
        self._until_refresh = state["until_refresh"]
