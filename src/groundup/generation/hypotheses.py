"""The hypotheses of one prompt in beam search: those that go on, those that ended, and when no better one can come."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from groundup.configs.generation import BeamConfig
from groundup.generation.sampling import Draw


@dataclass(frozen=True)
class Hypothesis:
    """One continuation of a prompt that ended.

    Example:
        >>> Hypothesis((Draw(0, 5, -0.5, ()), Draw(0, 2, -0.1, ())), score=-0.3).tokens
        [5, 2]
    """

    draws: tuple[Draw, ...]
    """Its tokens; the last one may be the end-of-text token."""
    score: float
    """The sum of the processed log-probabilities of its tokens, divided by their number to the power of
    BeamConfig.length_penalty; with a coverage_penalty, that added."""

    @property
    def tokens(self) -> list[int]:
        """Ids of its tokens."""
        return [draw.token for draw in self.draws]

    @property
    def logprobs(self) -> list[float]:
        """Natural log of each token's probability under the model's own distribution, before any processor."""
        return [draw.logprob for draw in self.draws]


@dataclass(frozen=True)
class Beam:
    """One hypothesis that has not ended."""

    total: float
    """Sum of processed log-probabilities; -inf for one that only fills its place."""
    draws: tuple[Draw, ...]
    """Its tokens."""
    parent: int
    """The place of the beam that it continues."""
    coverage: float = 0.0
    """What is added to its score for the parts of a source that it leaves out: 0 or less."""


class Beams:
    """The beams of one prompt, each at its place, and the best hypotheses that ended.

    Args:
        config: how many, and how they are compared.
        longest: tokens after which a hypothesis ends.

    Example:
        >>> beams = Beams(BeamConfig(n_beams=1), longest=2)
        >>> for token in (5, 2):
        ...     beams.advance([Beam(-0.5, (*beams.running[0].draws, Draw(0, token, -0.5, ())), 0)], lambda beam: False)
        >>> beams.is_done, beams.ended[0].tokens, beams.ended[0].score
        (True, [5, 2], -0.25)
    """

    def __init__(self, config: BeamConfig, longest: int) -> None:
        self._config, self._longest = config, longest
        self.running = [Beam(0.0, (), 0)]
        """By place: one to begin with, n_beams after the first step."""
        self.ended: list[Hypothesis] = []
        """At most n_beams, best first."""
        self.is_done = False
        """Whether nothing that runs can still come among `ended`, as config.early_stopping judges it."""

    def advance(self, candidates: Iterable[Beam], ends: Callable[[Beam], bool]) -> None:
        """Take the best `candidates`, all one token longer than before and best first; those that `ends` names end.

        As in `transformers`, only the first n_beams of them may end; those behind stand in for them, so that n_beams
        go on.
        """
        n_beams = self._config.n_beams
        running: list[Beam] = []
        for rank, beam in enumerate(candidates):
            if beam.total == -math.inf or (rank >= n_beams == len(running)):
                break
            if len(beam.draws) == self._longest or ends(beam):
                if rank < n_beams:
                    score = self._score(beam.total, len(beam.draws)) + beam.coverage
                    self.ended.append(Hypothesis(beam.draws, score))
            elif len(running) < n_beams:
                running.append(beam)
        self.ended = sorted(self.ended, key=lambda hypothesis: hypothesis.score, reverse=True)[:n_beams]
        self.is_done = not running or (len(self.ended) == n_beams and not self._can_improve(running[0]))
        if not self.is_done:
            self.running = _at_places(running, n_beams)

    def _can_improve(self, best: Beam) -> bool:
        if self._config.early_stopping == "yes":
            return False
        # Without what it leaves out, for it may yet cover all.
        at_any_length = self._config.early_stopping == "never" and self._config.length_penalty > 0
        length = self._longest if at_any_length else len(best.draws)
        return self._score(best.total, length) > self.ended[-1].score

    def _score(self, total: float, length: int) -> float:
        # Kept within a float's range: a large penalty and a long text would leave it.
        exponent = min(max(self._config.length_penalty * math.log(length), -690.0), 690.0)
        return total / math.exp(exponent)


def _at_places(running: list[Beam], n_beams: int) -> list[Beam]:
    """Return `n_beams` beams by place: a first child stays at its parent's, so that what was read need not move."""
    places: dict[int, Beam] = {}
    moving = []
    for beam in running:
        if beam.parent in places:
            moving.append(beam)
        else:
            places[beam.parent] = beam
    free = [place for place in range(n_beams) if place not in places]
    fillers = [Beam(-math.inf, running[0].draws, running[0].parent)] * (n_beams - len(running))
    places.update(zip(free, moving + fillers, strict=True))
    return [places[place] for place in range(n_beams)]
