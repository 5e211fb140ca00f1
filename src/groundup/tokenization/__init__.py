"""Text to token ids and back."""

from groundup.tokenization.base import END_OF_TEXT as END_OF_TEXT
from groundup.tokenization.base import IncrementalDecoder as IncrementalDecoder
from groundup.tokenization.base import Tokenizer as Tokenizer
from groundup.tokenization.base import fingerprint as fingerprint
from groundup.tokenization.bpe import ByteBPE as ByteBPE
from groundup.tokenization.bpe_training import train_bpe as train_bpe
from groundup.tokenization.characters import CharacterTokenizer as CharacterTokenizer
from groundup.tokenization.fast import FastTokenizer as FastTokenizer
from groundup.tokenization.pretrained import gpt2_tokenizer as gpt2_tokenizer
from groundup.tokenization.pretrained import load_tokenizer as load_tokenizer
from groundup.tokenization.published import PublishedTokenizer as PublishedTokenizer
