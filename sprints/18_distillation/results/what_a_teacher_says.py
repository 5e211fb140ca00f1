"""Shows what a teacher says of each next token, how temperature softens it, and what keeping a few entries costs."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.data.teacher_logits import TeacherLogitsKey, open_teacher_logits, size, write_teacher_logits
from groundup.data.tokens import open_tokens
from groundup.layers.soft_cross_entropy import SoftTargets, entropy, keep_largest, soft_cross_entropy
from groundup.recipes import language
from groundup.tasks.teacher_reading import read_by_teacher
from groundup.training.launch import start
from groundup.training.trained import load_run

OUT = Path("runs/sprints/18_distillation")
STEPS, KEPT, TEMPERATURES = 500, (1, 2, 4, 8, 16, 32, 64), (0.5, 1.0, 2.0, 4.0)
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
PROMPT = "One windy day, a curious young"


def main(out: Path = OUT) -> None:
    told = language.tales()
    schedule = ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    watched = EvaluationConfig(every_steps=STEPS, max_tokens=2_000, sample_tokens=0)
    training = replace(told.training, steps=STEPS, batch_size=8, schedule=schedule, evaluation=watched, **CPU)
    data = replace(told.data, max_bytes=1_500_000, bpe_vocab_size=600)
    config = replace(told, data=data, model=replace(told.model, context_length=128, d_model=96), training=training)
    with tempfile.TemporaryDirectory() as place:
        start(config, folder := Path(place) / "teacher", console=Console(quiet=True))
        teacher, text = load_run(folder, device="cpu"), open_tokens(folder / "tokens", "validation")
        V, end_id = teacher.tokenizer.vocab_size, teacher.tokenizer.end_id
        ids = [end_id, *teacher.tokenizer.encode(PROMPT)]
        with torch.no_grad():
            logits = teacher.model(torch.tensor([ids]))[0]  # [T, V]
        print(f"{PROMPT} …")
        shown = {T: keep_largest(logits[-1:], 6, temperature=T) for T in TEMPERATURES}
        for T, kept in shown.items():
            words = [f"{teacher.tokenizer.decode([i])!r} {p:.2f}" for i, p in
                     zip(kept.ids[0].tolist(), kept.logprobs[0].exp().tolist(), strict=False)]  # fmt: skip
            print(f"  T = {T:<4g}{', '.join(words)}; all others {kept.logprobs[0, -1].exp():.2f}")

        n_tokens = 20_000
        everything = TeacherLogitsKey(teacher="", tokens="", n_tokens=n_tokens, vocab_size=V, end_id=end_id,
                                      context_length=128, top_k=V, temperature=1.0, precision="float32")  # fmt: skip
        write_teacher_logits(
            Path(place), everything, lambda n: read_by_teacher(teacher.model, text.ids, everything, first=n)
        )
        said = open_teacher_logits(Path(place), everything)
        whole = SoftTargets(*map(torch.from_numpy, said.at(np.arange(0, n_tokens - 1, 5))))
        logprobs = torch.zeros(len(whole.ids), V).scatter(-1, whole.ids, whole.logprobs[:, :-1])
        N, rows = len(logprobs), {}
        student = 0.5 * logprobs  # one that is less sure than its teacher of everything
        exact = (soft_cross_entropy(student, whole) / N).item()
        print(f"\nOf {V} entries at each of {N:,} tokens: entropy {entropy(whole) / N:.3f} nats, loss {exact:.4f}")
        for K in KEPT:
            kept = keep_largest(logprobs, K)
            rest = kept.logprobs[:, -1].exp().mean().item()
            lacking = 1 - (soft_cross_entropy(student, kept) / N).item() / exact
            rows[K] = rest, lacking
            key = replace(everything, n_tokens=2_500_000, top_k=K, precision="float16")
            print(f"  {K:>3} kept   all others {rest:7.2%}   of the loss unseen {lacking:6.2%}"
                  f"   {key.token_bytes:>3} bytes a token, {size(key.n_bytes)} for 2.5 million")  # fmt: skip

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4))
    words = [repr(teacher.tokenizer.decode([i])) for i in shown[1.0].ids[0].tolist()]
    for i, (T, kept) in enumerate(shown.items()):
        left.bar(
            np.arange(len(words)) + 0.2 * i - 0.3, kept.logprobs[0, :-1].exp().numpy(), width=0.2, label=f"T = {T:g}"
        )
    left.set(title=f"After “{PROMPT}”", ylabel="probability", xticks=range(len(words)), xticklabels=words)
    left.legend()
    for name, place_of in (("probability of all others", 0), ("part of the loss that is not seen", 1)):
        right.plot(KEPT, [max(100 * row[place_of], 1e-4) for row in rows.values()], "o-", label=name)
    right.set(title="What keeping the first entries leaves out, %", xlabel="entries kept", xscale="log", yscale="log")
    right.set_xticks(KEPT, map(str, KEPT))
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "what_a_teacher_says.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
