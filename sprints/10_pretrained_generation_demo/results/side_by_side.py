"""Shows `transformers`' own API beside ours on the same file: ids, logits, greedy text, a streamer with a thread."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import matplotlib.pyplot as plt
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, TextIteratorStreamer
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from groundup.chat import ChatTemplate, Message, encode_chat
from groundup.configs.generation import GenerationConfig
from groundup.generation.background import BackgroundStream
from groundup.generation.generate import generate
from groundup.generation.stream import stream
from groundup.weights.gguf_model import load_gguf
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
QUESTION = "Why is the sky blue?"
N_DRAWN = 24


def their_model(file: Path) -> PreTrainedModel:
    """Do what from_pretrained(gguf_file=...) does, which would ask for `accelerate` too."""
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=model)["tensors"]
    model.load_state_dict(tensors, strict=False)  # all but lm_head, which is the embedding, tied to it already
    return model.eval()


def timed(texts: Iterator[str], start: float) -> list[tuple[str, float]]:
    """Return each piece, and the seconds after which it came."""
    return [(piece, time.perf_counter() - start) for piece in texts if piece]


@torch.inference_mode()
def main(out: Path = OUT) -> None:
    file = Path(installed_smollm2() or "")
    ours, theirs = load_gguf(file), their_model(file)
    their_tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    chat = [{"role": "user", "content": QUESTION}]
    template = ChatTemplate(ours.chat_template or "", ours.template_tokens)
    ids = encode_chat(ours.tokenizer, template, [Message(**chat[0])])
    prompt = {"chat_template": ours.chat_template, "add_generation_prompt": True, "return_dict": False}
    their_ids = their_tokenizer.apply_chat_template(chat, **prompt)
    print(f"The question is {len(ids)} ids here and there, the same: {ids == their_ids}.")
    tokens = torch.tensor([ids])
    logits, their_logits = ours.model(tokens)[0], theirs(tokens).logits[0]  # [T, V]
    print(f"Logits up to {logits.abs().max():.0f} differ by at most {(logits - their_logits).abs().max():.0e}.")

    greedy = GenerationConfig(strategy="greedy", max_new_tokens=N_DRAWN)
    drawn = generate(ours.model, [ids], greedy, end_id=ours.tokenizer.end_id)[0]
    options = {"max_new_tokens": N_DRAWN, "do_sample": False, "pad_token_id": ours.tokenizer.end_id}
    options |= {"inputs": tokens, "attention_mask": torch.ones_like(tokens)}
    their_drawn = theirs.generate(**options)[0, len(ids) :].tolist()
    text = ours.tokenizer.decode(drawn)
    print(f"{N_DRAWN} greedy tokens are the same: {drawn == their_drawn}.\n  {text!r}")

    pieces, start = {}, time.perf_counter()
    steps = BackgroundStream(stream(ours.model, ours.tokenizer, ids, greedy))  # its thread is its own
    pieces["groundup"] = timed((step.text for step in steps), start)
    start = time.perf_counter()
    streamer = TextIteratorStreamer(their_tokenizer, skip_prompt=True, skip_special_tokens=True)
    thread = Thread(target=theirs.generate, kwargs=options | {"streamer": streamer})  # theirs is the caller's
    thread.start()
    pieces["transformers"] = timed(streamer, start)
    thread.join()
    print("streamed       pieces   first after   all after   same text")
    for name, found in pieces.items():
        print(f"{name:<13}{len(found):>8}{found[0][1]:>12.2f} s{found[-1][1]:>10.2f} s", end="   ")
        print("".join(piece for piece, _ in found) == text)

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    shown = logits[-1].topk(10).indices
    for name, found, shift in (("groundup", logits, -0.2), ("transformers", their_logits, 0.2)):
        left.barh([i + shift for i in range(len(shown))], found[-1, shown].tolist(), 0.38, label=name)
    left.set_yticks(range(len(shown)), [ours.tokenizer.decode([token]) for token in shown.tolist()])
    left.invert_yaxis()
    left.set(title="The ten likeliest first tokens", xlabel="logit")
    for name, found in pieces.items():
        right.plot([seconds for _, seconds in found], range(1, len(found) + 1), "o-", linewidth=1, label=name)
    right.set(title="Greedy text as it streams", xlabel="seconds", ylabel="pieces", xlim=(0, None), ylim=(0, None))
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "side_by_side.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
