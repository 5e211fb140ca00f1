"""Token embeddings of a small vocabulary, in which three families of words lie together."""

import numpy as np

from groundup.interpret.token_map import TokenEmbeddings
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE

FAMILIES = ("king queen prince", "red green blue", "one two three")
D = 12


def merges(words: list[str]) -> list[tuple[bytes, bytes]]:
    """Return the merges with which each word, behind a space, becomes one token."""
    found: dict[tuple[bytes, bytes], None] = {}
    for word in words:
        spelled = f" {word}".encode()
        for end in range(2, len(spelled) + 1):
            found[spelled[: end - 1], spelled[end - 1 : end]] = None
    return list(found)


def some_embeddings(seed: int = 0) -> TokenEmbeddings:
    """Return random vectors; those of a family have most in common."""
    words = " ".join(FAMILIES).split()
    tokenizer = ByteBPE(merges(words), special_tokens=[END_OF_TEXT])
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(tokenizer.vocab_size, D)).astype(np.float32)
    embeddings = TokenEmbeddings(vectors=vectors, tokenizer=tokenizer, source="small")
    for family in FAMILIES:
        middle = 10 * random.normal(size=D)
        for word in family.split():
            vectors[embeddings.find(word)] += middle
    return embeddings
