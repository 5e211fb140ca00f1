"""What beams cost against greedy decoding, a token: GPT-2's 124M parameters, random weights, one prompt, four beams.

The weights are `transformers`' own initial ones (seed 0), in both. No end token: every contender draws all tokens, so
times can be compared. Beams are equal where the best text and its score are. Where `groundup generate` takes float16
unasked, that is measured, too, beside float32 of `transformers`, whose own float16 is many times slower on a CPU.
"""

import statistics

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks import alternate, has_bfloat16
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.generation import beam_search, generate, prepare_for_inference, suggest_precision
from groundup.proofs.hf_weights import gpt_from_gpt2

REPEATS = 5
N_BEAMS = 4
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PEERS = {"groundup float16": "transformers float32"}
"""Whom a contender is compared with, if it is not the same format."""


def sizes(tiny):
    if not tiny:
        return {}
    return {"vocab_size": 97, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}


def ours(model, prompt, n_new):
    """Return functions that draw greedily and with beams."""
    greedy = GenerationConfig(strategy="greedy", max_new_tokens=n_new)
    beam = GenerationConfig(strategy="beam", max_new_tokens=n_new, beam=BeamConfig(n_beams=N_BEAMS))

    def best():
        found = beam_search(model, [prompt], beam)[0][0]
        return found.tokens, found.score

    return {"greedy": lambda: generate(model, [prompt], greedy), f"{N_BEAMS} beams": best}


def theirs(model, prompt, n_new):
    """Return the same of `transformers`."""
    ids = torch.tensor([prompt])

    @torch.inference_mode()
    def draw(**settings):
        return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=n_new,
                              pad_token_id=0, return_dict_in_generate=True, **settings)  # fmt: skip

    def best():
        out = draw(num_beams=N_BEAMS, output_scores=True)
        return out.sequences[0, len(prompt) :].tolist(), out.sequences_scores[0].item()

    return {"greedy": draw, f"{N_BEAMS} beams": best}


def contenders(tiny, prompt, n_new):
    """Return the functions of each contender, in turn, by (who, what)."""
    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=None, eos_token_id=None, attn_implementation="sdpa", **sizes(tiny))
    model = GPT2LMHeadModel(config).eval()
    gpt = gpt_from_gpt2(model)
    found = {}
    for name, dtype in FORMATS.items():
        if dtype == torch.bfloat16 and not (has_bfloat16() or tiny):
            continue  # without the processor's instructions both are slower than float32
        rounded = model if dtype == torch.float32 else GPT2LMHeadModel(config).eval().to(dtype)
        rounded.load_state_dict(model.state_dict())
        found[f"transformers {name}"] = theirs(rounded, prompt, n_new)
        found[f"groundup {name}"] = ours(prepare_for_inference(gpt, name), prompt, n_new)
    if suggest_precision(gpt) == "float16" or tiny:
        found["groundup float16"] = ours(prepare_for_inference(gpt, "float16"), prompt, n_new)
    return {(who, what): run for who, runs in found.items() for what, run in runs.items()}


def run(tiny):
    n_prompt, n_new, repeats = (8, 8, 1) if tiny else (128, 128, REPEATS)
    prompt = torch.randint(97 if tiny else 50_257, (n_prompt,), generator=torch.Generator().manual_seed(1)).tolist()
    runs = contenders(tiny, prompt, n_new)
    best = {key: run() for key, run in runs.items()}  # this warms up, too
    times = alternate(runs, repeats)
    rows = []
    for (who, what), time in times.items():
        # Of each round, so that a slow moment of the machine hits both numbers.
        ratios = [b / g for b, g in zip(time.wall, times[who, "greedy"].wall, strict=True)]
        peer = best[PEERS.get(who, who.replace("groundup", "transformers")), what]
        rows.append({"who": who, "what": what, **time.columns(), "ms a token": f"{1e3 * time.median / n_new:.1f}",
                     "cost / own greedy": f"{statistics.median(ratios):.2f}",
                     "fastest – slowest": f"{min(ratios):.2f} – {max(ratios):.2f}",
                     "best text, score equal": "-" if what == "greedy" else equal(best[who, what], peer)})  # fmt: skip
    text = (
        f"{n_prompt} + {n_new} tokens, one prompt, {torch.get_num_threads()} threads; {repeats} runs each, in turn. "
        "The time a token includes the prompt. Equal: to transformers in the same format, scores within 1e-4; groundup "
        "float16 to its float32, from which rounding may part it."
    )
    return {"what": text, "rows": rows}


def equal(ours, peer):
    """Return whether tokens are the same, and the difference of scores."""
    return f"{'yes' if ours[0] == peer[0] else 'no'}, {'yes' if abs(ours[1] - peer[1]) <= 1e-4 else 'no'}"
