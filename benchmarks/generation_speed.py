"""Greedy text from GPT-2's 124M parameters, random weights, one prompt: ours and `transformers` in every float format.

The weights are transformers' own initial ones (seed 0), copied into our model in float32; each contender then rounds
them to its format, so in one format both have the same weights. Whether tokens agree is counted against transformers
in float32: logits that lie closer together than a format's rounding may swap, the first such place ends the agreement.
"""

import copy
import statistics

import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from benchmarks import alternate, has_bfloat16
from groundup.configs.generation import GenerationConfig
from groundup.generation import generate, prepare_for_inference
from groundup.proofs.hf_weights import gpt_from_gpt2

REPEATS = 5
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def sizes(tiny):
    if not tiny:
        return {}
    return {"vocab_size": 97, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}


class Ours:
    """Our model, as it is or prepared."""

    def __init__(self, model):
        self.model = model

    def draw(self, prompt, n_tokens):
        """Return the tokens after `prompt`."""
        return generate(self.model, [prompt], GenerationConfig(strategy="greedy", max_new_tokens=n_tokens))[0]

    @torch.inference_mode()
    def at_position(self, prompt, n_tokens):
        """Return a function that reads one more token `n_tokens` times after `prompt`."""
        cache = self.model.new_cache(1)
        self.model.hidden_states(torch.tensor([prompt]), cache=cache)

        @torch.inference_mode()
        def run():
            for _ in range(n_tokens):
                logits = self.model.project(self.model.hidden_states(torch.tensor([[5]]), cache=cache)[:, -1])
                logits.argmax().item()
            cache.truncate([len(prompt)])

        return run


class Theirs:
    """`transformers`, in one format and with one kind of cache."""

    def __init__(self, model, dtype, **settings):
        self.model, self.settings = copy.deepcopy(model).to(dtype), settings

    def draw(self, prompt, n_tokens):
        """Return the tokens after `prompt`."""
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = self.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
                                      max_new_tokens=n_tokens, **self.settings)  # fmt: skip
        return out[0, len(prompt) :].tolist()

    @torch.inference_mode()
    def at_position(self, prompt, n_tokens):
        """Return a function that reads one more token `n_tokens` times after `prompt`."""
        past = DynamicCache()
        self.model(torch.tensor([prompt]), past_key_values=past, use_cache=True)

        @torch.inference_mode()
        def run():
            for _ in range(n_tokens):
                logits = self.model(torch.tensor([[5]]), past_key_values=past, use_cache=True, logits_to_keep=1).logits
                logits[:, -1].argmax().item()
            past.crop(-n_tokens)

        return run


def contenders(tiny):
    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=None, eos_token_id=None, attn_implementation="sdpa", **sizes(tiny))
    theirs = GPT2LMHeadModel(config).eval()
    ours = gpt_from_gpt2(theirs)
    found = {f"transformers {name}": Theirs(theirs, dtype) for name, dtype in FORMATS.items()}
    found["transformers float32, static cache"] = Theirs(theirs, torch.float32, cache_implementation="static")
    found["groundup as trained (float32)"] = Ours(ours)
    found |= {f"groundup {name}": Ours(prepare_for_inference(ours, name)) for name in FORMATS}
    return found


def run(tiny):
    short, long, n_new, early, late, steps = (8, 16, 8, 4, 40, 2) if tiny else (128, 512, 128, 32, 900, 16)
    everyone = contenders(tiny)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(97 if tiny else 50_257, (late,), generator=generator).tolist()
    # Tens of seconds where the processor has no fast product of a format: once.
    slow = {f"transformers {name}" for name in ("float16", *(() if has_bfloat16() else ("bfloat16",)))}
    once = {name: everyone.pop(name) for name in slow}
    repeats = 1 if tiny else REPEATS
    tasks = {
        "total": lambda one: one.draw(ids[:short], n_new),
        "first": lambda one: one.draw(ids[:short], 1),
        "long": lambda one: one.draw(ids[:long], 1),
    }
    times, tokens = {}, {}
    for label, task in tasks.items():
        runs = {name: (lambda one=one, task=task: task(one)) for name, one in everyone.items()}
        times[label] = alternate(runs, repeats + (not tiny))
        for name, one in once.items():
            times[label][name] = alternate({"": lambda one=one, task=task: task(one)}, 1)[""]
        if not tiny:
            for name in everyone:  # the first round warmed up
                del times[label][name].wall[0]
    tokens = {name: one.draw(ids[:short], n_new) for name, one in everyone.items()}
    steady = [name for name in everyone if "static" not in name]
    for label, position in (("early", early), ("late", late)):
        runs = {name: everyone[name].at_position(ids[:position], steps) for name in steady}
        times[label] = alternate(runs, repeats)
    everyone |= once
    peers = [name for name in everyone if name.startswith("transformers")]
    best = min(peers, key=lambda name: times["total"][name].median)
    rows = [row(name, times, best, tokens, steps) for name in [*peers, *(n for n in everyone if n not in peers)]]
    what = (
        f"{short} + {n_new} tokens, greedy, one prompt, {torch.get_num_threads()} threads; {repeats} runs each, in "
        f"turn ({', '.join(sorted(once))} once). Ratios are against {best}, the fastest of transformers. Tokens equal: "
        f"of {n_new}, before the first that differs from transformers in float32, and in the same format."
    )
    return {"what": what, "rows": rows}


def row(name, times, best, tokens, steps):
    total, first, long = (times[label][name] for label in ("total", "first", "long"))
    shown = {"who": name} | {key: value for key, value in total.columns().items() if key != "CPU s"}
    shown["speed / best peer"] = f"{times['total'][best].median / total.median:.2f}"
    shown["first token s, short / long prompt"] = f"{first.median:.3f} / {long.median:.3f}"
    ratios = (times[label][best].median / times[label][name].median for label in ("first", "long"))
    shown["prefill / best peer"] = " / ".join(f"{ratio:.2f}" for ratio in ratios)
    per_token = [1e3 * statistics.median(times[label][name].wall) / steps for label in ("early", "late")
                 if name in times[label]]  # fmt: skip
    shown["ms a token, early / late position"] = " / ".join(f"{value:.1f}" for value in per_token) or "-"
    if name not in tokens:
        return shown | {"tokens equal: to float32 / same format": "-"}
    alike = next(f"transformers {kind}" for kind in FORMATS if kind in name)
    same = [agreement(tokens[name], tokens[peer]) for peer in ("transformers float32", alike) if peer in tokens]
    return shown | {"tokens equal: to float32 / same format": " / ".join(map(str, same))}


def agreement(ours, theirs):
    """Return how many tokens at the beginning are the same."""
    return next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b), len(ours))
