"""What a folder's files say of its tokenizer: the token before every text, the one that ends it, those added."""

import json
from pathlib import Path

import pytest
from tests.weights.test_huggingface import byte_bpe, change, refuse, saved
from transformers import AutoTokenizer

from groundup.chat import ChatTemplate, Message, encode_chat
from groundup.tokenization import END_OF_TEXT, ByteBPE, FastTokenizer
from groundup.tokenization.beginning import post_processor
from groundup.weights.huggingface import load_huggingface


def with_begin_token(folder: Path, **said: object) -> None:
    """Save a Llama whose tokenizer writes a begin token as Llama 3's does, and a template that writes it, too."""
    saved(folder, "llama")
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text()) | {"post_processor": post_processor("<|im_end|>", 260)}
    path.write_text(json.dumps(document))
    change(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", bos_token="<|im_end|>", **said)


def test_the_begin_token_of_transformers_stands_before_every_text(tmp_path: Path):
    with_begin_token(tmp_path)
    found, theirs = load_huggingface(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert found.bos == (260,)
    for text in ("", "the other", "<|im_end|>"):
        assert found.encode(text)[:1] == [260]
        assert found.encode(text)[1:] == found.tokenizer.encode(text)
    assert found.encode("the other") == theirs("the other")["input_ids"]


def test_a_conversation_has_the_begin_token_of_its_template_only(tmp_path: Path):
    with_begin_token(tmp_path, chat_template="{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    found, theirs = load_huggingface(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert found.chat_template is not None
    ids = encode_chat(
        found.tokenizer, ChatTemplate(found.chat_template, found.template_tokens), [Message(role="user", content="the")]
    )
    conversation = [{"role": "user", "content": "the"}]
    assert ids == theirs.apply_chat_template(conversation, add_generation_prompt=True)["input_ids"]
    assert ids.count(260) == 1


@pytest.mark.parametrize(("said", "expected"), [(True, (259,)), (False, ()), (None, ())])
def test_where_no_post_processor_is_the_config_says_whether_there_is_a_begin_token(
    said: bool | None, expected: tuple[int, ...], tmp_path: Path
):
    saved(tmp_path)
    change(tmp_path, "tokenizer_config.json", bos_token=END_OF_TEXT, add_bos_token=said)
    assert load_huggingface(tmp_path).bos == expected
    change(tmp_path, "tokenizer_config.json", bos_token=None)
    assert load_huggingface(tmp_path).bos == ()


def test_a_begin_token_beyond_the_vocabulary_is_refused(tmp_path: Path):
    with_begin_token(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": post_processor("<s>", 999)}))
    refuse(tmp_path, r"tokens of the vocabulary in front of a text in .*, found \(999,\)")


@pytest.mark.parametrize(
    ("generation", "tokenizer", "config", "end"),
    [
        (None, None, None, 259),  # the tokenizer's own <|endoftext|>
        (260, None, 259, 260),
        ([259, 260], None, 259, 259),
        ([259, 260], "<|im_end|>", 259, 260),
        ([260], END_OF_TEXT, 259, 260),
        (None, "<|im_end|>", 259, 260),
        (None, None, 260, 260),
        (None, None, [260, 259], 260),
        (99_999, None, 260, 260),  # an id that is no special token says nothing
    ],
)
def test_the_end_of_text_is_what_the_files_say(
    generation: object, tokenizer: object, config: object, end: int, tmp_path: Path
):
    saved(tmp_path)
    change(tmp_path, "generation_config.json", eos_token_id=generation)
    change(tmp_path, "tokenizer_config.json", eos_token=tokenizer)
    change(tmp_path, "config.json", eos_token_id=config)
    found = load_huggingface(tmp_path)
    assert found.tokenizer.end_id == end
    assert found.tokenizer.encode("the other thé") == byte_bpe().encode("the other thé")
    if (generation, tokenizer) != (None, None):
        assert found.template_tokens["eos_token"] == (END_OF_TEXT if end == 259 else "<|im_end|>")


def test_gpt2s_pair_of_files_with_added_tokens_loads_and_another_familys_is_refused(tmp_path: Path):
    saved(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    pair = ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the")], [END_OF_TEXT])
    pair.save_gpt2_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert isinstance(load_huggingface(tmp_path).tokenizer, FastTokenizer)
    change(tmp_path, "added_tokens.json", **{"<|pad|>": 260})
    assert load_huggingface(tmp_path).tokenizer.encode("the<|pad|>", allow_special=True) == [257, 260]
    change(tmp_path, "added_tokens.json", **{"<|pad|>": 300})
    refuse(tmp_path, "expected added tokens numbered from 260 in .*, found '<|pad|>' as 300")
    change(tmp_path, "added_tokens.json", **{"<|pad|>": "260"})
    assert "<|pad|>" not in load_huggingface(tmp_path).tokenizer.special_tokens
    other = tmp_path / "llama"
    saved(other, "llama")
    (other / "tokenizer.json").unlink()
    pair.save_gpt2_files(other / "vocab.json", other / "merges.txt")
    refuse(other, "expected tokenizer.json in")


def test_tokens_that_only_the_tokenizer_config_adds_are_known(tmp_path: Path):
    saved(tmp_path)
    pad = {"content": "<|pad|>", "special": True}
    ByteBPE([(b"t", b"h"), (b"th", b"e")], [END_OF_TEXT]).save(tmp_path / "tokenizer.json")
    change(
        tmp_path, "tokenizer_config.json", added_tokens_decoder={"259": pad, "258": {"content": END_OF_TEXT}, "x": 3}
    )
    assert load_huggingface(tmp_path).tokenizer.special_tokens == {END_OF_TEXT: 258, "<|pad|>": 259}
