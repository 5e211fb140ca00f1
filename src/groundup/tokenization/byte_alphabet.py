"""GPT-2's way of spelling any byte as one visible character, so that a vocabulary of bytes fits into JSON."""


def _characters() -> dict[int, str]:
    """Return {byte: character} in the order in which GPT-2 numbers the bytes."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in visible]  # a space becomes Ġ, a line break Ċ
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(others)}


_CHARACTER_OF = _characters()
_BYTE_OF = {character: byte for byte, character in _CHARACTER_OF.items()}

BYTES = tuple(bytes([byte]) for byte in _CHARACTER_OF)
"""The 256 single bytes in the order of their ids in GPT-2: "!" has id 0."""


def spell(token: bytes) -> str:
    """Return `token` with one visible character per byte.

    Example:
        >>> spell(b" the")
        'Ġthe'
    """
    return "".join(map(_CHARACTER_OF.__getitem__, token))


def unspell(text: str) -> bytes:
    """Return the bytes that `spell` turned into `text`.

    Raises:
        KeyError: a character that stands for no byte.

    Example:
        >>> unspell("âĤ¬").decode()
        '€'
    """
    return bytes(map(_BYTE_OF.__getitem__, text))
