"""Shows what greedy decoding, temperature and each filter make of one next-token distribution of SmolLM2."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import groundup
from groundup.configs.generation import GenerationConfig
from groundup.generation.processors import chain
from groundup.generation.sampling import greedy
from groundup.generation.stream import generate_text
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
PROMPT = "At the end of the garden there was a"
N_DRAWN, N_SHOWN = 12, 14  # tokens of each text; bars
SETTINGS = {
    "the model's own": {},
    "greedy": {"strategy": "greedy"},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1.5": {"temperature": 1.5},
    "top-k 5": {"top_k": 5},
    "top-p 0.5": {"top_p": 0.5},
    "min-p 0.25": {"min_p": 0.25},
    "typical 0.7": {"typical_p": 0.7},
}


@torch.inference_mode()
def main(out: Path = OUT) -> None:
    model, tokenizer = groundup.load("smollm2")
    ids = torch.tensor([tokenizer.encode(PROMPT)])
    logits = model(ids)[:, -1, : tokenizer.vocab_size]  # [1, V]
    own = logits[0].softmax(-1)
    shown = own.topk(N_SHOWN).indices
    words = [tokenizer.decode([token]).replace(" ", "␣") for token in shown.tolist()]

    print(f"{PROMPT!r}, and then? {tokenizer.vocab_size:,} tokens are possible.")
    print(f"{'setting':<17}{'tokens left':>12}{'entropy, bits':>15}   {'most likely':<20} how it goes on")
    reshaped = {}
    for name, fields in SETTINGS.items():
        config = GenerationConfig(max_new_tokens=N_DRAWN, seed=3, **fields)
        after = chain(config)(logits, ids)  # removed tokens at -inf
        if config.strategy == "greedy":  # takes the largest logit, which is a distribution too: all on one token
            after = torch.where(torch.arange(len(own)) == greedy(after), 0.0, -torch.inf)[None]
        p = reshaped[name] = after[0].softmax(-1)
        entropy = -torch.special.xlogy(p, p).sum().item() / torch.tensor(2.0).log().item()
        text = generate_text(model, tokenizer, [PROMPT], config)[0].replace("\n", " ")
        best = f"{p.max():.3f} {tokenizer.decode([int(p.argmax())])!r}"
        print(f"{name:<17}{(p > 0).sum().item():>12,}{abs(entropy):>15.2f}   {best:<20} …{text}")
    print("\nShare of the model's own distribution that each filter keeps:")
    for name in [name for name in SETTINGS if name.startswith(("top", "min", "typical"))]:
        print(f"  {name:<12}{own[reshaped[name] > 0].sum():>8.3f}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 4, figsize=(12, 7), sharey=True)
    figure.suptitle(f"“{PROMPT} …”: the {N_SHOWN} likeliest next tokens, each in eight ways")
    before, rows = own[shown].tolist(), range(N_SHOWN)
    for panel, (name, p) in zip(panels.flat, reshaped.items(), strict=True):
        panel.barh(rows, p[shown].tolist(), 0.75, label="reshaped")
        panel.stairs(
            before,
            [row - 0.5 for row in range(N_SHOWN + 1)],
            orientation="horizontal",
            color="#333333",
            label="the model's own",
        )
        panel.set(title=name, xlim=(0, None))
    panels[0, 0].set_yticks(rows, words)
    panels[0, 0].invert_yaxis()
    panels[0, 1].legend(loc="lower right")
    for panel in panels[1]:
        panel.set_xlabel("probability")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "strategies.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
