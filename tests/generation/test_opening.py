"""What texts begin with: never a token that the text did not teach."""

from groundup.generation.opening import opening
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

BPE = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])


def test_documents_begin_after_the_end_of_text():
    assert opening(BPE, first=BPE.end_id) == [BPE.end_id]


def test_one_text_never_held_the_end_of_text():
    assert opening(BPE, first=BPE.encode("F")[0]) == BPE.encode("\n")


def test_a_line_break_else_the_first_token():
    assert CharacterTokenizer("a\nb").decode(opening(CharacterTokenizer("a\nb"), first=2)) == "\n"
    assert opening(CharacterTokenizer("ab"), first=1) == [1]


def test_a_tokenizer_that_drops_line_breaks():
    class Words(CharacterTokenizer):
        def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
            return super().encode(text.strip(), allow_special=allow_special)

    assert opening(Words("ab"), first=1) == [1]
