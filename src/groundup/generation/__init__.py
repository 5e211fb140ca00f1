"""Logits to text, one API for every model."""

from groundup.generation.decode import decode as decode
from groundup.generation.generate import generate as generate
from groundup.generation.opening import opening as opening
from groundup.generation.prepared import prepare_for_inference as prepare_for_inference
from groundup.generation.prepared import suggest_precision as suggest_precision
from groundup.generation.processors import chain as chain
from groundup.generation.processors import repetition_penalty as repetition_penalty
from groundup.generation.processors import temperature as temperature
from groundup.generation.processors import top_k as top_k
from groundup.generation.processors import top_p as top_p
from groundup.generation.sampling import Draw as Draw
from groundup.generation.stream import Step as Step
from groundup.generation.stream import generate_text as generate_text
from groundup.generation.stream import stream as stream
