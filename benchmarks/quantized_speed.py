"""Greedy text from models of few bits: ours, `transformers`, llama.cpp on the same file; one prompt, 1 and 2 threads.

SmolLM2-135M is read from the GGUF file that `make model` installs, whose matrices are Q4_1 and whose embedding, also
the output matrix, is Q8_0; GPT-2 has random weights (seed 0). llama.cpp is measured where the environment's LLAMA_BENCH
names its `llama-bench`: a process for each round, which loads the model before it measures. The bandwidth limit is the
speed at which memory could be read through once for each token; it is measured by a sum over an array.
"""

import copy
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.generation_speed import Ours, Theirs
from benchmarks.pretrained_speed import load
from groundup.configs.quantization import QuantizationConfig
from groundup.generation import prepare_for_inference, suggest_precision
from groundup.proofs.hf_weights import gpt_from_gpt2
from groundup.quantization.convert import quantize_model, quantized_layers
from groundup.weights.gguf_packed import load_gguf_packed
from groundup.weights.installed import installed_smollm2

ROUNDS = 3
THREADS = (1, 2)
ARRAY = 256_000_000
"""Bytes that are summed to measure the bandwidth: several times what a processor's cache holds."""


class LlamaCpp:
    """`llama-bench` on a GGUF file."""

    def __init__(self, program, path):
        self.program, self.path = program, path

    def times(self, n_prompt, n_new):
        """Return the seconds of the prompt and of the tokens after it."""
        threads = str(torch.get_num_threads())
        call = [self.program, "-m", str(self.path), "-p", str(n_prompt), "-n", str(n_new), "-t", threads]
        done = subprocess.run([*call, "-r", "1", "-o", "json"], check=True, capture_output=True, text=True)
        prompt, new = (entry["avg_ns"] / 1e9 for entry in json.loads(done.stdout))
        return prompt, new


def seconds(one, prompt, n_new):
    """Return the seconds to the first token, and of the `n_new` after it."""
    if isinstance(one, LlamaCpp):
        return one.times(len(prompt), n_new)
    start = time.perf_counter()
    one.draw(prompt, 1)
    first = time.perf_counter() - start
    start = time.perf_counter()
    one.draw(prompt, 1 + n_new)
    return first, time.perf_counter() - start - first


def bandwidth(tiny):
    """Return the bytes a second that a sum over an array reads."""
    array, best = torch.ones(ARRAY // (1000 if tiny else 1) // 8, dtype=torch.float64), 0.0
    for _ in range(5):
        start = time.perf_counter()
        array.sum()
        best = max(best, array.nbytes / (time.perf_counter() - start))
    return best


def bytes_read(model):
    """Return the bytes of weights that a token reads: all but the embedding's, of which it reads a row, unless tied."""
    layers = quantized_layers(model)
    inside = sum(layer.n_bytes for layer in layers.values())
    if model.output is not None and "token_embedding" in layers:
        inside -= layers["token_embedding"].n_bytes
    tables = {"token_embedding.weight"} if model.output is not None else set()
    tables |= {"position_embedding.weight"}
    return inside + sum(4 * value.numel() for name, value in model.named_parameters() if name not in tables)


def prepared(model):
    """Return a model as `groundup generate` draws from it."""
    return Ours(prepare_for_inference(model, suggest_precision(model)))


def smollm2(tiny, folder):
    """Return contenders by name, the bytes each of ours reads, and a prompt."""
    _, theirs, plain, ids = load(folder, tiny, 128)
    path = None if tiny else installed_smollm2()
    int4 = quantize_model(copy.deepcopy(plain), QuantizationConfig()) if path is None else load_gguf_packed(path).model
    int8 = quantize_model(copy.deepcopy(plain), QuantizationConfig(to="int8"))
    models = {"groundup int4": int4, "groundup int8": int8}
    found = {"transformers float32": Theirs(theirs, torch.float32)}
    chosen = suggest_precision(plain)
    found[f"groundup {chosen}"] = Ours(prepare_for_inference(plain, chosen))
    found |= {name: prepared(model) for name, model in models.items()}
    program = os.environ.get("LLAMA_BENCH")
    if program and path is not None:
        found["llama.cpp Q4_1"] = LlamaCpp(program, path)
    sizes = {name: bytes_read(model) for name, model in models.items()}
    if path is not None:
        sizes["llama.cpp Q4_1"] = sizes["groundup int4"]
    return found, sizes, ids[: 8 if tiny else 128]


def gpt2(tiny):
    torch.manual_seed(0)
    small = {"vocab_size": 97, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2} if tiny else {}
    theirs = GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None, **small)).eval()
    int8 = quantize_model(gpt_from_gpt2(theirs), QuantizationConfig(to="int8"))
    prompt = torch.randint(97 if tiny else 50_257, (8 if tiny else 128,)).tolist()
    found = {"transformers float32": Theirs(theirs, torch.float32), "groundup int8": prepared(int8)}
    return found, {"groundup int8": bytes_read(int8)}, prompt


def compare(label, found, sizes, prompt, n_new, rounds):
    """Return the rows of one model."""
    rows = []
    before = torch.get_num_threads()
    for threads in THREADS:
        torch.set_num_threads(threads)
        speed = bandwidth(tiny=n_new < 10)
        first, rest = {name: [] for name in found}, {name: [] for name in found}
        for turn in range(rounds + 1):  # the first warms up
            for name, one in found.items():
                times = seconds(one, prompt, n_new)
                if turn:
                    first[name].append(times[0])
                    rest[name].append(times[1])
        for name in found:
            decode, prefill = statistics.median(rest[name]), statistics.median(first[name])
            against = {peer: statistics.median(a / b for a, b in zip(rest[peer], rest[name], strict=True))
                       for peer in ("transformers float32", "llama.cpp Q4_1") if peer in rest}  # fmt: skip
            prompts = statistics.median(first["llama.cpp Q4_1"]) / prefill if "llama.cpp Q4_1" in first else None
            limit = speed / sizes[name] if name in sizes else None
            rows.append({
                "model": label, "threads": threads, "who": name,
                "decode tokens/s": f"{n_new / decode:.1f}",
                "slowest – fastest": f"{n_new / max(rest[name]):.1f} – {n_new / min(rest[name]):.1f}",
                "decode / transformers": f"{against['transformers float32']:.2f}",
                "decode / llama.cpp": f"{against['llama.cpp Q4_1']:.2f}" if "llama.cpp Q4_1" in against else "-",
                "prefill tokens/s": f"{len(prompt) / prefill:.0f}",
                "prefill / llama.cpp": f"{prompts:.2f}" if prompts else "-",
                "MB a token": f"{sizes[name] / 1e6:.0f}" if name in sizes else "-",
                "of the bandwidth limit": f"{n_new / decode / limit:.0%} of {limit:.0f}" if limit else "-",
            })  # fmt: skip
    torch.set_num_threads(before)
    return rows


def run(tiny):
    n_new, rounds = (4, 1) if tiny else (128, ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        found, sizes, prompt = smollm2(tiny, Path(place) / "smollm2")
        rows = compare("SmolLM2-135M", found, sizes, prompt, n_new, rounds)
    del found
    found, sizes, prompt = gpt2(tiny)
    rows += compare("GPT-2 124M", found, sizes, prompt, n_new, rounds)
    what = (
        f"{len(prompt)} + {n_new} tokens, greedy, one prompt; {rounds} rounds, all in turn, medians; ratios are "
        "medians of those of each round. Prefill is the time to the first token. Ours in 4 bits are the file's own "
        "numbers; in 8 bits they are rounded anew. The limit is the bandwidth measured beside, divided by the bytes "
        "that a token reads."
    )
    return {"what": what, "rows": rows}
