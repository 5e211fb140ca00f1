"""Shows a model that chooses among given texts by likelihood, and one whose words are banned or biased."""

import sys
from math import exp
from pathlib import Path

import matplotlib.pyplot as plt

import groundup
from groundup.configs.generation import GenerationConfig
from groundup.generation.choice import choose
from groundup.generation.stream import generate_text
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
QUESTIONS = {
    "The capital of Austria is": (" Vienna", " Paris", " Graz", " cheese"),
    "Water boils at a temperature of": (" 100 degrees", " 10 degrees", " 37 degrees"),
    "The opposite of cold is": (" hot", " warm", " cool", " winter"),
    "Review: I loved every minute.\nThe reviewer's opinion is": (" positive", " negative"),
    "Review: I hated every minute.\nThe reviewer's opinion is": (" positive", " negative"),
}
LENGTHS = ("The sun is", (" a star", " a star in the middle of the solar system", " a planet"))
PROMPT = "My favourite animal is the"


def main(out: Path = OUT) -> None:
    model, tokenizer = groundup.load("smollm2")
    shares = {}
    for prompt, choices in QUESTIONS.items():
        chosen = choose(model, tokenizer, prompt, choices)
        likelihoods = [exp(one.total) for one in chosen.scored]
        shares[prompt] = [value / sum(likelihoods) for value in likelihoods]
        print(f"{prompt!r} ->{chosen.text}")
        print("  " + ",  ".join(f"{one.text.strip()} {one.total:.2f}" for one in chosen.scored))

    prompt, choices = LENGTHS
    print(f"\n{prompt!r}, by the whole log-likelihood or for each byte:")
    scored = choose(model, tokenizer, prompt, choices).scored
    for one in scored:
        print(f"  {one.text.strip():<42}{len(one.tokens):>3} tokens{one.total:>9.2f}{one.per_byte:>8.3f}")
    for by in ("total", "per_byte"):
        print(f"  by {by}:{choose(model, tokenizer, prompt, choices, by=by).text}")

    def favourite_after(**fields: object) -> str:
        config = GenerationConfig(strategy="greedy", max_new_tokens=12, **fields)
        return generate_text(model, tokenizer, [PROMPT], config)[0].replace("\n", " ")

    first = tokenizer.encode(" cat")[0]
    print(f"\n{PROMPT!r}, greedy:")
    favourites: list[str] = []
    for _ in range(3):  # each time what it named before is banned
        text = favourite_after(banned=tuple(favourites))
        print(f"  banned {', '.join(favourites) or 'nothing':<22}…{text}")
        favourites.append(text.split()[0].strip(".,"))
    for bias in (2.0, 5.0):
        print(f"  logit of ' cat' + {bias:<13g}…{favourite_after(logit_bias=((first, bias),))}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, len(QUESTIONS), figsize=(13, 3.4), sharey=True)
    figure.suptitle("How likely each choice is, of the choices given")
    for panel, (prompt, share) in zip(panels, shares.items(), strict=True):
        names = [choice.strip().replace(" ", "\n") for choice in QUESTIONS[prompt]]
        best = share.index(max(share))
        bars = panel.bar(names, share, color=["C0" if i == best else "#BBBBBB" for i in range(len(share))])
        panel.bar_label(bars, [f"{value:.0%}" for value in share], padding=2)
        panel.set_title(f"{prompt} …", fontsize=9)
        panel.set(xlim=(-0.6, 3.6), ylim=(0, 1.1), yticks=[])
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="x", length=0, labelsize=8.5)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "choice.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
