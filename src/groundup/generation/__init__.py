"""Logits to text, one API for every model."""

from groundup.generation.background import BackgroundStream as BackgroundStream
from groundup.generation.banned import banned_sequences as banned_sequences
from groundup.generation.beam_search import beam_search as beam_search
from groundup.generation.choice import choose as choose
from groundup.generation.decode import decode as decode
from groundup.generation.filters import min_p as min_p
from groundup.generation.filters import temperature as temperature
from groundup.generation.filters import top_k as top_k
from groundup.generation.filters import top_p as top_p
from groundup.generation.filters import typical_p as typical_p
from groundup.generation.generate import generate as generate
from groundup.generation.hypotheses import Hypothesis as Hypothesis
from groundup.generation.opening import opening as opening
from groundup.generation.prepared import prepare_for_inference as prepare_for_inference
from groundup.generation.prepared import suggest_precision as suggest_precision
from groundup.generation.processors import chain as chain
from groundup.generation.sampling import Draw as Draw
from groundup.generation.stream import ScoredText as ScoredText
from groundup.generation.stream import Step as Step
from groundup.generation.stream import generate_n_best as generate_n_best
from groundup.generation.stream import generate_text as generate_text
from groundup.generation.stream import stream as stream
from groundup.generation.text_rules import ban as ban
from groundup.generation.text_rules import logit_bias as logit_bias
from groundup.generation.text_rules import no_repeat_ngram as no_repeat_ngram
from groundup.generation.text_rules import repetition_penalty as repetition_penalty
