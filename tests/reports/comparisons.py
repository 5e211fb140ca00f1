"""A comparison written by hand, to be shown."""

from dataclasses import replace

from groundup.configs.generation import GenerationConfig
from groundup.evaluation.perplexity import Perplexity
from groundup.reports.comparison import Comparison, Reading, Writing

NASTY = "<script>alert(1)</script> & \x1b[31mred \udc80"
FOUND = Comparison(
    base="gpt2",
    tuned=NASTY,
    prompts=("Once upon", NASTY),
    base_writing=Writing(texts=(" a time\nthere was", ""), n_ended=1),
    tuned_writing=Writing(texts=(NASTY, " and it was so"), n_ended=0),
    domain=Reading(
        name="ours",
        base=Perplexity(loss=3.0, n_tokens=100, n_bytes=400),
        tuned=Perplexity(loss=2.0, n_tokens=100, n_bytes=400),
    ),
    general=Reading(
        name="<i>other</i>",
        base=Perplexity(loss=1.0, n_tokens=100, n_bytes=300),
        tuned=Perplexity(loss=1.5, n_tokens=100, n_bytes=300),
    ),
    same_tokens=True,
    context_length=64,
    generation=GenerationConfig(top_p=0.9),
)
NOTHING_READ = replace(FOUND, domain=None, general=None)
