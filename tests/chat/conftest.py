"""A small published tokenizer with ChatML's markers, and a small model that was never trained."""

from pathlib import Path

import pytest
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

from groundup.configs import GPTConfig
from groundup.models.gpt import GPT
from groundup.tokenization import PublishedTokenizer
from groundup.weights.pretrained import Pretrained

TEXTS = ["the fox asks: what is the capital of France? Paris, says the owl.", "Hello! How are you? system user"] * 5
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    library.save(str(path))
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file: Path) -> PublishedTokenizer:
    return PublishedTokenizer.from_file(tokenizer_file, end_token="<|im_end|>")


@pytest.fixture(scope="session")
def found(tokenizer: PublishedTokenizer) -> Pretrained:
    """In float64: what was read before is multiplied in other shapes, and rounding must not decide a token."""
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=tokenizer.vocab_size, context_length=256, d_model=16, n_layers=1, n_heads=2)
    return Pretrained(model=GPT(config).double().eval(), tokenizer=tokenizer, source="a parrot", chat_template=CHATML)
