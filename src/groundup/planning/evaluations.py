"""How much work an evaluation is: windows that overlap by half, of which the last half is scored."""


def evaluation_passes(max_tokens: int, context_length: int) -> int:
    """Return how many windows are read to score `max_tokens`: the first whole, of each other its last half.

    Example:
        >>> evaluation_passes(64, 64), evaluation_passes(96, 64), evaluation_passes(97, 64)
        (1, 2, 3)
    """
    rest = max(0, max_tokens - context_length)
    return 1 - (-rest // max(1, context_length // 2))


def evaluation_tokens(passes: int, context_length: int) -> int:
    """Return the most tokens that `passes` windows score.

    Example:
        >>> evaluation_tokens(2, 64)
        96
    """
    return context_length + (passes - 1) * max(1, context_length // 2)
