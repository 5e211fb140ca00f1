"""Greedy text from SmolLM2-135M, one prompt: ours and `transformers` in every float format, decode and prefill apart.

The weights are those of the GGUF file that `make model` installs, handed to `transformers` as the float32 folder that
`groundup export --to hf` writes; without the file, both have the same random ones. Prefill is the time to the first
token of a short prompt, decode that of the tokens after it, measured in one go. A cold call is a process of its own,
from its start to its end after one token; ours reads the GGUF file, theirs the folder, which needs no decoding.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks import alternate
from benchmarks.generation_speed import FORMATS, Ours, Theirs, agreement
from benchmarks.texts import real_text
from groundup.configs import preset
from groundup.generation import prepare_for_inference, suggest_precision
from groundup.proofs.hf_weights import gpt_from_llama
from groundup.weights.gguf_model import load_gguf
from groundup.weights.huggingface_export import save_huggingface
from groundup.weights.installed import installed_smollm2

ROUNDS = 3
TOO_SLOW = 12.0
"""Seconds of a short prompt and its tokens beyond which a contender runs once."""
THEIR_COLD_CALL = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer(sys.argv[2], return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, do_sample=False, max_new_tokens=1)[0]))
"""


def load(folder, tiny, n_tokens):
    """Return (what the weights are, transformers' model, ours, ids of a text); the real weights are in `folder`."""
    path = None if tiny else installed_smollm2()
    if path is not None:
        found = load_gguf(path)
        save_huggingface(found.model, found.tokenizer, folder)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        theirs.generation_config.eos_token_id = None  # every contender draws all tokens
        ids = found.tokenizer.encode(real_text(tiny)[1][: 8 * n_tokens])
        return "weights of the GGUF file", theirs, found.model, ids
    torch.manual_seed(0)
    config = preset("smollm2-135m")
    sizes = {"vocab_size": config.vocab_size, "hidden_size": config.d_model, "intermediate_size": config.d_ff,
             "num_hidden_layers": config.n_layers, "num_attention_heads": config.n_heads,
             "num_key_value_heads": config.n_kv_heads}  # fmt: skip
    if tiny:
        sizes = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": config.rotary_base}
    described = LlamaConfig(**sizes, max_position_embeddings=config.context_length, rope_parameters=rope,
                            tie_word_embeddings=True, bos_token_id=None, eos_token_id=None)  # fmt: skip
    theirs = LlamaForCausalLM(described).eval()
    return "random weights", theirs, gpt_from_llama(theirs), torch.randint(sizes["vocab_size"], (n_tokens,)).tolist()


def contenders(theirs, ours):
    """Return both, in every format, by name, and the name of the format that ours takes unasked."""
    found = {f"transformers {name}": Theirs(theirs, dtype) for name, dtype in FORMATS.items()}
    found |= {f"groundup {name}": Ours(prepare_for_inference(ours, name)) for name in FORMATS}
    return found, f"groundup {suggest_precision(ours)}"


def measure(everyone, prompt, n_new, rounds):
    """Return by name: seconds to the first token and from there to the last, round by round, and the tokens."""
    first, rest, tokens = {name: [] for name in everyone}, {name: [] for name in everyone}, {}
    for turn in range(rounds + 1):  # the first warms up
        for name, one in everyone.items():
            if turn > 1 and first[name][0] + rest[name][0] > TOO_SLOW:
                continue
            times = alternate({"first": lambda one=one: one.draw(prompt, 1)}, 1)["first"].wall
            if turn == 0:
                continue
            start = time.perf_counter()
            tokens[name] = one.draw(prompt, 1 + n_new)
            first[name] += times
            rest[name].append(time.perf_counter() - start - times[0])
    return first, rest, tokens


def flatness(one, ids, positions, steps, repeats):
    """Return milliseconds a token at each of the positions."""
    runs = {position: one.at_position(ids[:position], steps) for position in positions}
    times = alternate(runs, repeats)
    return [1e3 * statistics.median(times[position].wall) / steps for position in positions]


def cold(arguments):
    """Return the seconds of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def cold_calls(folder):
    """Return by library the seconds of a process that draws one token, if the model is there."""
    if not folder.exists():
        return {}
    ours = ["-m", "groundup", "generate", "smollm2", "Once upon a time", "--max-new-tokens", "1"]
    calls = {"groundup": (ours, 3), "transformers": (["-c", THEIR_COLD_CALL, str(folder), "Once upon a time"], 1)}
    return {who: sorted(cold(call) for _ in range(n))[n // 2] for who, (call, n) in calls.items()}


def run(tiny):
    with tempfile.TemporaryDirectory() as place:
        return compare(tiny, Path(place) / "smollm2")


def compare(tiny, folder):
    n_prompt, n_new, early, late, steps = (8, 4, 4, 40, 2) if tiny else (128, 128, 64, 1500, 16)
    weights, theirs, ours, ids = load(folder, tiny, late)
    everyone, chosen = contenders(theirs, ours)
    del theirs, ours
    rounds = 1 if tiny else ROUNDS
    first, rest, tokens = measure(everyone, ids[:n_prompt], n_new, rounds)
    peers = [name for name in everyone if name.startswith("transformers")]
    best = {label: min(peers, key=lambda name, found=found: statistics.median(found[name]))
            for label, found in (("prefill", first), ("decode", rest))}  # fmt: skip
    flat = {name: flatness(everyone[name], ids, (early, late), steps, rounds + 1) for name in (best["decode"], chosen)}
    calls = cold_calls(folder)
    rows = []
    for name in everyone:
        speeds = sorted(n_new / seconds for seconds in rest[name])
        seconds, median = statistics.median(first[name]), statistics.median(rest[name])
        call = calls.get(name.split()[0]) if name in (chosen, "transformers float32") else None
        rows.append({
            "who": f"{name} (chosen)" if name == chosen else name,
            "decode tokens/s": f"{n_new / median:.1f}",
            "slowest – fastest": f"{speeds[0]:.1f} – {speeds[-1]:.1f}",
            "decode / best peer": f"{statistics.median(rest[best['decode']]) / median:.2f}",
            "prefill tokens/s": f"{n_prompt / seconds:.0f}",
            "prefill / best peer": f"{statistics.median(first[best['prefill']]) / seconds:.2f}",
            "ms a token, early / late": " / ".join(f"{ms:.1f}" for ms in flat[name]) if name in flat else "-",
            "tokens as transformers float32": agreement(tokens[name], tokens["transformers float32"]),
            "cold call s": f"{call:.1f}" if call else "-",
        })  # fmt: skip
    what = (
        f"SmolLM2-135M ({weights}), {n_prompt} + {n_new} tokens, greedy, one prompt, {torch.get_num_threads()} "
        f"threads; {rounds} rounds, all in turn (once if above {TOO_SLOW:.0f} s). Best peers: {best['decode']} at "
        f"decode, {best['prefill']} at prefill. Early and late are positions {early} and {late:,}. Tokens: how many of "
        f"{1 + n_new} before the first that differs. (chosen): the format `groundup generate` takes here unasked."
    )
    return {"what": what, "rows": rows}
