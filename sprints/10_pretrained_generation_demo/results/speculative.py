"""Shows speculative decoding without a second model: what stood in the prompt is guessed, several tokens a pass."""

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt

import groundup
from groundup.configs.generation import GenerationConfig
from groundup.generation.decode import decode
from groundup.generation.drafts import PromptLookup
from groundup.generation.speculative import Speculation, speculate
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/10_pretrained_generation_demo")
PASSAGE = (
    "The miller's daughter found the silver key beneath the old bridge, took it home, "
    "and hid it in the blue box behind the clock.\n"
)
PROMPTS = {
    "a text that quotes itself": 2 * PASSAGE + "The miller's daughter",
    "a story": "Once upon a time there was a girl who",
}
N_DRAWN = 24
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=N_DRAWN)


def main(out: Path = OUT) -> None:
    model, tokenizer = groundup.load("smollm2")
    curves = {}
    for name, prompt in PROMPTS.items():
        ids = tokenizer.encode(prompt)
        start = time.perf_counter()
        plain = [one.token for [one] in decode(model, [ids], GREEDY, end_id=tokenizer.end_id)]
        seconds = time.perf_counter() - start
        print(f"{name}: {tokenizer.decode(plain)!r}")
        print("  guessed   passes   tokens a pass   guesses kept   faster   same tokens")
        print(f"        0{len(plain):>9}{1:>16.2f}{'':>15}{1:>9.2f}")
        for n_drafted in (2, 4, 8):
            counts, tokens, passes = Speculation(), [], []
            start = time.perf_counter()
            steps = speculate(
                model, PromptLookup(), ids, GREEDY, n_drafted=n_drafted, end_id=tokenizer.end_id, counts=counts
            )
            for [one] in steps:
                tokens.append(one.token)
                passes.append(counts.n_passes)
            faster = seconds / (time.perf_counter() - start)
            print(f"{n_drafted:>9}{counts.n_passes:>9}{len(tokens) / counts.n_passes:>16.2f}", end="")
            print(f"{counts.acceptance:>15.0%}{faster:>9.2f}   {tokens == plain}")
            curves[name, n_drafted] = passes

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True, sharey=True)
    figure.suptitle("Tokens drawn after each pass of the model")
    for panel, name in zip(panels, PROMPTS, strict=True):
        panel.plot([0, N_DRAWN], [0, N_DRAWN], color="#888888", linewidth=1, label="a token a pass")
        for n_drafted in (2, 4, 8):
            passes = curves[name, n_drafted]
            panel.step([0, *passes], range(len(passes) + 1), where="post", label=f"{n_drafted} guessed")
        panel.set(title=name, xlabel="pass", xlim=(0, N_DRAWN), ylim=(0, N_DRAWN + 1))
    panels[0].set(ylabel="tokens")
    panels[1].legend(loc="lower right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "speculative.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
