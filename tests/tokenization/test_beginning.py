"""What stands before every text is what the `tokenizers` library's post-processor puts there."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from groundup.errors import InputError
from groundup.tokenization.beginning import ids_before, post_processor

HERE = Path("tokenizer.json")
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
ROBERTA = {
    "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 5], "trim_offsets": True, "add_prefix_space": False,
}  # fmt: skip
END = tokenizers.processors.TemplateProcessing(single="$A </s>", pair="$A $B", special_tokens=[("</s>", 3)])
TWO = tokenizers.processors.TemplateProcessing(
    single="<a> <b> $A", pair="$A $B", special_tokens=[("<a>", 8), ("<b>", 9)]
)
CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "none": (None, ()),
    "bytes": (BYTES, ()),
    "one token": (post_processor("<s>", 7), (7,)),
    "as Llama 3": ({"type": "Sequence", "processors": [BYTES, post_processor("<s>", 128_000)]}, (128_000,)),
    "before and behind": (ROBERTA, (5,)),
    "behind only": (json.loads(END.__getstate__()), ()),
    "two": (json.loads(TWO.__getstate__()), (8, 9)),
}


@pytest.mark.parametrize("case", CASES)
def test_ids_before_a_text(case: str):
    stored, expected = CASES[case]
    assert ids_before({"post_processor": stored}, HERE) == expected


@pytest.mark.parametrize("stored", [3, {"type": "Nope"}, {"type": "TemplateProcessing", "single": []}])
def test_a_damaged_post_processor_is_named_in_one_line(stored: object):
    with pytest.raises(InputError, match=r"expected a post-processor in tokenizer\.json") as caught:
        ids_before({"post_processor": stored}, HERE)
    assert "\n" not in str(caught.value)
