"""Learning the merges of a byte-level BPE: pair counts are kept up to date, never counted again."""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from operator import add

from groundup.errors import InputError
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE, Merge
from groundup.tokenization.split import SPACES, safe_pieces, special_pattern, split

_WHITE_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Unicode's; `re` has its own idea
_STRETCH = re.compile(rf"[{_WHITE_SPACE}]*[^{_WHITE_SPACE}]+|[{_WHITE_SPACE}]+")


def train_bpe(pieces: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = (END_OF_TEXT,)) -> ByteBPE:
    """Learn a vocabulary of `vocab_size` ids from a text given in pieces.

    Each step merges the most frequent pair of neighbouring tokens; among equally frequent ones, the greatest pair of
    byte strings. A special token in the text is a border that no merge crosses: put <|endoftext|> between documents.
    Ids are GPT-2's: 256 bytes, merges in order, special tokens last. When no pair is left the vocabulary stays smaller.

    Memory grows with the number of different words, not with the length of the text.

    Raises:
        InputError: the vocabulary has no room for the bytes and the special tokens, or there is no text.

    Example:
        The text that Wikipedia's article on byte-pair encoding works through. It ends as XdXac there and here; of the
        two pairs that are equally frequent after the first step, our rule takes aa·a, the article a·b.

        >>> bpe = train_bpe(["aaabdaaabac"], vocab_size=259, special_tokens=())
        >>> bpe.merges
        [(b'a', b'a'), (b'aa', b'a'), (b'aaa', b'b')]
        >>> [bpe.vocabulary[token] for token in bpe.encode("aaabdaaabac")]
        [b'aaab', b'd', b'aaab', b'a', b'c']
    """
    smallest = 256 + len(special_tokens)
    if vocab_size < smallest:
        found = f"{vocab_size}: 256 bytes and {len(special_tokens)} special tokens come first, then the merges"
        raise InputError(f"expected a vocabulary of at least {smallest} ids, found {found}")
    if len(set(special_tokens)) < len(special_tokens):
        raise InputError(f"expected each special token once, found one twice in {', '.join(special_tokens)}")
    for name in special_tokens:
        if len(name.encode()) < 2 or name.split() != [name]:
            advice = f"spell it like {END_OF_TEXT}"
            raise InputError(f"expected special tokens of two or more visible characters, found {name!r}: {advice}")
    words = count_words(pieces, special_tokens)
    if not words:
        raise InputError("expected a text to learn a vocabulary from, found none: is the file empty?")
    return ByteBPE(learn_merges(words, vocab_size - smallest), special_tokens)


def count_words(pieces: Iterable[str], special_tokens: Iterable[str] = ()) -> Counter[str]:
    """Return how often each word of GPT-2's split occurs between the special tokens of a text.

    Example:
        >>> count_words(["to be or", " not to be"])[" be"]
        2
    """
    # Stretches of visible characters with the white space before them repeat as words do, and finding them is several
    # times cheaper than GPT-2's pattern, which then runs once on each different stretch.
    stretches: Counter[str] = Counter()
    borders = special_pattern(special_tokens)
    for text in safe_pieces(pieces, SPACES):
        for part in borders.split(text)[::2]:  # every second part is a special token
            stretches.update(_STRETCH.findall(part))
    words: Counter[str] = Counter()
    for stretch, count in stretches.items():
        for word in split(stretch):
            words[word] += count
    return words


def learn_merges(word_counts: Counter[str], n_merges: int) -> list[Merge]:
    """Return the first `n_merges` merges, fewer if no pair is left.

    A token is one character of a Python string while we learn: byte b is chr(b), the k-th merge chr(256 + k). A word is
    a string of tokens, a pair a string of two, and merging a pair is `str.replace`.
    """
    words = [word.encode().decode("latin-1") for word in word_counts]
    counts = list(word_counts.values())
    pair_counts, words_with = _count_pairs(words, counts)
    bytes_of = [bytes([byte]) for byte in range(256)]
    order = [_greatest_first(token) for token in bytes_of]

    def entry(pair: str) -> tuple[int, str, str]:
        return -pair_counts[pair], order[ord(pair[0])] + order[ord(pair[1])], pair

    heap = sorted(map(entry, pair_counts))  # a sorted list is a heap
    merges: list[Merge] = []
    while heap and len(merges) < n_merges:
        negative_count, _, pair = heapq.heappop(heap)
        if -negative_count != pair_counts[pair]:  # counts of old pairs only fall: put it back where it now belongs
            if pair_counts[pair]:
                heapq.heappush(heap, entry(pair))
            continue
        first, second = pair[0], pair[1]
        left, right = bytes_of[ord(first)], bytes_of[ord(second)]
        merges.append((left, right))
        new_token = chr(len(bytes_of))
        bytes_of.append(left + right)
        order.append(_greatest_first(left + right))
        new_pairs: set[str] = set()
        for number in words_with.pop(pair):
            count, word = counts[number], words[number]
            before, found, after = word.partition(pair)
            words[number] = word.replace(pair, new_token)
            if not found:
                continue
            if first == second or pair in after:  # it may overlap itself, or come again: count the whole word anew
                for old in map(add, word, word[1:]):
                    pair_counts[old] -= count
                for new in map(add, words[number], words[number][1:]):
                    pair_counts[new] += count
                    if new_token in new:
                        new_pairs.add(new)
                        words_with[new].append(number)
                continue
            # The usual case: one place, and only the pairs with its neighbours change.
            pair_counts[pair] -= count
            if before:
                pair_counts[before[-1] + first] -= count
                pair_counts[new := before[-1] + new_token] += count
                new_pairs.add(new)
                words_with[new].append(number)
            if after:
                pair_counts[second + after[0]] -= count
                pair_counts[new := new_token + after[0]] += count
                new_pairs.add(new)
                words_with[new].append(number)
        for new in new_pairs:
            heapq.heappush(heap, entry(new))
    return merges


def _count_pairs(words: list[str], counts: list[int]) -> tuple[defaultdict[str, int], defaultdict[str, list[int]]]:
    """Return how often each pair of tokens occurs, and the numbers of the words it occurs in."""
    pair_counts: defaultdict[str, int] = defaultdict(int)
    words_with: defaultdict[str, list[int]] = defaultdict(list)  # later it may name a word that has lost the pair since
    for number, word in enumerate(words):
        for pair in map(add, word, word[1:]):
            pair_counts[pair] += counts[number]
            words_with[pair].append(number)
    return pair_counts, words_with


def _greatest_first(token: bytes) -> str:
    """Return a text that sorts before another's exactly when `token` is greater: heapq gives the smallest.

    The last character, above all others, makes a longer token sort before its own beginning; and it ends every text,
    so that two of them joined sort as the pair of them does.
    """
    return "".join(chr(255 - byte) for byte in token) + chr(256)
