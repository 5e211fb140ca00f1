"""Whether a grammar can be read in one way only, and whether its words are always set before they are used."""

from groundup.data.tales_grammar import Grammar, Kind, Part


def collisions(grammar: Grammar) -> list[str]:
    """Return a line for each two options of a choice that can begin alike; no line proves that texts have one reading.

    The beginning of an option is its text up to the third word or choice in it, for every value of the first two words
    and every option of the first two choices. If no beginning of one option begins a beginning of another, then at most
    one of them fits any given text, and reading from left to right never has to guess. The converse does not hold: a
    grammar with collisions may still be unambiguous further on.

    Example:
        >>> from groundup.data.tales_grammar import Grammar, choose
        >>> collisions(Grammar("[a] [b]", [choose("a", "red", "reddish"), choose("b", "fox", "hen")]))
        ["a: 'red' begins like 'reddish'"]
    """
    values = _values(grammar)
    found = []
    for choice in grammar.choices.values():
        for row in choice.rows.values():
            begun = sorted(
                (text, option.value)
                for option in row.options
                for text, _ in _beginnings(grammar, values, option.parts, depth=2)
            )
            # In sorted order whatever begins with a text follows it directly, so the last open prefix is enough.
            prefix, owner = begun[0]
            for text, value in begun[1:]:
                if not text.startswith(prefix):
                    prefix, owner = text, value
                elif value != owner:
                    found.append(f"{choice.name}: {owner!r} begins like {value!r}")
    return sorted(set(found))


def _values(grammar: Grammar) -> dict[str, set[str]]:
    """Every word, with all values that any option gives it."""
    values: dict[str, set[str]] = {}
    for choice in grammar.choices.values():
        for option in choice.options:
            for word, value in {choice.name: option.value, **option.words}.items():
                values.setdefault(word, set()).add(value)
    return values


def _beginnings(
    grammar: Grammar, values: dict[str, set[str]], parts: tuple[Part, ...], depth: int
) -> set[tuple[str, bool]]:
    """Texts that `parts` can begin with, each with whether it is the whole of `parts`."""
    begun = {("", True)}
    for kind, content in parts:
        if kind is Kind.TEXT:
            extensions = {(content, True)}
        elif depth == 0:
            return {(text, False) for text, _ in begun}
        else:
            depth -= 1
            extensions = (
                {(value, True) for value in values[content]}
                if kind is Kind.WORD
                else {
                    beginning
                    for option in grammar.choices[content].options
                    for beginning in _beginnings(grammar, values, option.parts, depth)
                }
            )
        begun = {(text, False) for text, whole in begun if not whole} | {
            (text + more, whole) for text, open_ in begun if open_ for more, whole in extensions
        }
    return begun


def unset_words(grammar: Grammar) -> list[str]:
    """Return a line for each word that may be read before it is set, or set twice, on some path through the grammar.

    Example:
        >>> from groundup.data.tales_grammar import Grammar, choose
        >>> unset_words(Grammar("[a]{b}", [choose("a", "x", "[b]"), choose("b", "y")]))
        ['the root reads {b}, which may not be set']
    """
    found: list[str] = []

    def follow(parts: tuple[Part, ...], surely: set[str], maybe: set[str], where: str) -> tuple[set[str], set[str]]:
        for kind, content in parts:
            if kind is Kind.WORD and content not in surely:
                found.append(f"{where} reads {{{content}}}, which may not be set")
            if kind is Kind.CHOICE:
                choice = grammar.choices[content]
                found.extend(
                    f"{content} depends on {word}, which may not be set" for word in choice.given if word not in surely
                )
                ends = []
                for option in choice.options:
                    sets = {content, *option.words}
                    if sets & maybe:
                        found.append(f"{content} sets {sorted(sets & maybe)} a second time")
                    ends.append(follow(option.parts, surely | sets, maybe | sets, f"{content} {option.value!r}"))
                surely = set.intersection(*(end[0] for end in ends))
                maybe = set.union(*(end[1] for end in ends))
        return surely, maybe

    follow(grammar.root, set(), set(), "the root")
    return sorted(set(found))
