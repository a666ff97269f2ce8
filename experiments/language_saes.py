"""Dictionaries of the bundled transformer's activations: the runs behind book/language_model.md.

Sparse autoencoders are trained on the part of the text that ships, until their validation error is
flat: three stages, each with a fourth of the rate of the one before, each ended once the best
validation error (FVU) has fallen by less than 1 % in 3 epochs. Latents get their names on
validation text by a rule fixed beforehand; all that is reported is measured on test text. The first
token of each window is left aside: nothing comes before it, and its activations are like no others.
"""

import json
import time
from functools import cache

import numpy as np

from experiments import _runs
from experiments._runs import best_scale
from saebook import BatchTopK, JumpReLU, SAEConfig, TopK, TrainConfig, metrics, reference, weights
from saebook.start import init_from_samples, init_tied
from saebook.texts import addresses, language_model
from saebook.transformer import init

SEEDS = (0, 1, 2)  # of TopK of the larger width and of what it is compared with
OF_KINDS = SEEDS[:1]  # of other kinds, the smaller width, transcoders, TensorFlow
K, WIDTHS = 16, (256, 512)
KINDS = {"TopK": TopK, "BatchTopK": BatchTopK, "JumpReLU": lambda k: JumpReLU(l0=k)}
RATES, LEAST, PATIENCE, CAP, BATCH_SIZE = (8e-3, 2e-3, 5e-4), 0.01, 3, 30, 1024
STREAM, MLP = "resid_2", "mlp_out_1"
WINDOWS = {"train": 240, "val": 100, "test": 150}  # of 128 tokens, the first of each part
N_SPLICED = 100  # windows of test text by which losses are measured
N_NAMED = 12  # latents with which the model is changed, of as many names
N_WINDOWS = 24  # of test text, at most, in which it is changed for one of them
OFTEN = 20  # rows of validation text for which a name must hold, to be one
LAYER = 1  # whose MLP has a transcoder, and the next

# The model and its activations


@cache
def bundled():
    return language_model()


@cache
def tokens_of(part):
    """Windows ``(n_windows, 128)`` of a part of the text."""
    config, _, tokenizer, _ = bundled()
    tokens = tokenizer.encode(getattr(addresses(), part))
    n = min(WINDOWS[part], len(tokens) // config.context)
    return tokens[: n * config.context].reshape(n, config.context)


@cache
def model(trained=True):
    """The transformer in PyTorch; or as it was before it was trained."""
    from saebook.pytorch.transformer import Transformer

    config, params, _, _ = bundled()
    return Transformer(config).from_numpy(params if trained else init(config))


def call(tokens, splice=None, trained=True, batch=50):
    """For each batch of windows: tokens, logits, activations. `splice` maps names to functions."""
    import torch

    with torch.no_grad():
        for part in np.split(tokens, range(batch, len(tokens), batch)):
            part = torch.tensor(part)
            yield part, *model(trained)(part, splice)


@cache
def activations(part, place, trained=True):
    """Rows ``(n, 128)`` of an activation, without those of the first token of a window."""
    found = [rows[place][:, 1:].numpy() for _, _, rows in call(tokens_of(part), trained=trained)]
    return np.concatenate(found).reshape(-1, found[0].shape[-1])


# Training


def config_of(kind="TopK", n_latents=WIDTHS[-1], pre_bias=True):
    d = bundled()[0].d_model
    return SAEConfig(d, n_latents, sparsity=KINDS[kind](K), unit_norm=True, pre_bias=pre_bias)


def train(config, x, x_val, seed, framework="torch", inputs=None, inputs_val=None, cap=CAP):
    """A model trained until flat, and its validation FVU after each epoch of each stage.

    With `inputs` a transcoder: the code is made of them, and rebuilds `x`.
    """
    SparseAutoencoder, fit, _ = _runs.framework_of(framework)
    evaluate = _evaluate_of(framework)
    sae, stages = SparseAutoencoder(config, seed=seed, device="cpu"), []
    sae.from_numpy(begin(config, x, seed, inputs))
    for number, rate in enumerate(RATES):
        rows = []

        def after(_, row, rows=rows):
            rows.append(evaluate(sae, x_val, inputs_val)["fvu"])
            return len(rows) > PATIENCE and min(rows) > (1 - LEAST) * min(rows[:-PATIENCE])

        mixed = framework == "torch" and number < len(RATES) - 1
        settings = TrainConfig(
            cap, BATCH_SIZE, rate, seed=1000 * number + seed, init="given", mixed_precision=mixed
        )
        fit(sae, x, settings, corruption=inputs, after_epoch=after, progress=False)
        stages.append([round(value, 4) for value in rows])
    return sae, stages


def begin(config, x, seed, inputs=None):
    """Samples as directions; for a transcoder of its inputs, with outputs that fit them."""
    params = init_from_samples(config, x if inputs is None else inputs, seed)
    if inputs is not None:
        params["b_dec"] = x.mean(axis=0, dtype=np.float64)
        params["W_dec"] = init_tied(config, x, seed)["W_dec"]
    return params


def _evaluate_of(framework):
    if framework == "torch":
        from saebook.pytorch import evaluate
    else:
        from saebook.tensorflow import evaluate
    return evaluate


def run_of(name, config, place, seed, framework="torch", trained=True, source=None):
    """Parameters and epochs of a run, trained if it has not been; see `experiments._runs`."""
    path = _runs.FOLDER / f"{framework}-language-{name}-{seed}.safetensors"
    if not path.exists():
        _runs.FOLDER.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        x, x_val = (activations(part, place, trained) for part in ("train", "val"))
        inputs = source and activations("train", source)
        inputs_val = source and activations("val", source)
        sae, stages = train(config, x, x_val, seed, framework, inputs, inputs_val)
        weights.write(path, config, sae.to_numpy())
        seconds = round(time.process_time() - began)
        path.with_suffix(".json").write_text(json.dumps({"fvu": stages, "seconds": seconds}))
        print(name, seed, framework, seconds, "s", [len(rows) for rows in stages], flush=True)
    return weights.read(path)[1], json.loads(path.with_suffix(".json").read_text())


# Dictionaries: functions from rows to codes, with what is rebuilt from a code


class Dictionary:
    """A way to code rows: `encode` gives ``(n, m)``, and `directions` and `mean` rebuild them."""

    def __init__(self, config, params, scale=1.0):
        self.config, self.params = config, params
        self.mean, self.directions = params["b_dec"], scale * params["W_dec"]

    def encode(self, x):
        from saebook.pytorch import SparseAutoencoder, encode

        sae = SparseAutoencoder(self.config, device="cpu").from_numpy(self.params)
        return encode(sae, x)

    def rebuild(self, x):
        return (self.encode(x) @ self.directions + self.mean).astype(np.float32)


class Components(Dictionary):
    """PCA, of which each sample keeps the `k` largest amounts, or the first `k`."""

    def __init__(self, x, k=K, first=False):
        self.mean = x.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(x.T))
        self.directions, self.k, self.first = vectors[:, ::-1].T, k, first

    def encode(self, x):
        z = (x - self.mean) @ self.directions.T
        if self.first:
            return z * (np.arange(z.shape[1]) < self.k)
        return z * reference.largest(np.abs(z), self.k)


def fitted(config, params, x):
    """A dictionary that nobody trained, its amounts times the one number that fits them best."""
    plain = Dictionary(config, params)
    return Dictionary(config, params, best_scale(params, plain.encode(x), x))


def tied(config, rows, x):
    """Rows as directions, in decoder and encoder, about the mean of `x`; the scale is fitted."""
    params = init_tied(config, x[:2000], 0)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    params |= {"W_dec": rows, "W_enc": rows.T.copy(), "b_dec": x.mean(axis=0, dtype=np.float64)}
    return fitted(config, params, x[:5_000])


def untrained(place, seed, n_latents=WIDTHS[-1]):
    """Dictionaries of directions that no training on `place` has made."""
    x, config = activations("train", place), config_of("TopK", n_latents)
    rng = np.random.default_rng(seed)
    samples = x[rng.choice(len(x), n_latents, replace=False)] - x.mean(axis=0)
    found = {
        "samples": tied(config, samples, x),
        "random directions": tied(config, rng.normal(size=samples.shape), x),
    }
    if place == STREAM:
        rows = run_of("untrained", config_of(), STREAM, seed, trained=False)[0]["W_dec"]
        found["SAE of the untrained transformer"] = tied(config, rows, x)
    return found


# What is lost by a dictionary


def spliced_loss(place, change):
    """Mean nats of the next token, with `change` made to all rows of `place` but the first."""
    import torch

    from saebook.pytorch.transformer import next_token_loss

    def splice(value):
        rows = value[:, 1:].reshape(-1, value.shape[-1]).numpy()
        return torch.cat([value[:, :1], torch.tensor(change(rows)).view_as(value[:, 1:])], dim=1)

    found = [
        next_token_loss(logits, part)[:, 1:].numpy()
        for part, logits, _ in call(tokens_of("test")[:N_SPLICED], {place: splice})
    ]
    return float(np.concatenate(found).mean())


@cache
def ends(place):
    """The loss of the model as it is, and with every row replaced by the mean row."""
    mean = activations("train", place).mean(axis=0)
    whole = spliced_loss(place, lambda rows: rows)
    return whole, spliced_loss(place, lambda rows: np.broadcast_to(mean, rows.shape).copy())


def measured(dictionary, place):
    """L0, FVU and the share of the loss that is recovered, on test text."""
    x = activations("test", place)
    z = dictionary.encode(x)
    whole, ablated = ends(place)
    loss = spliced_loss(place, dictionary.rebuild)
    return {
        "l0": round(float((z != 0).sum(axis=1).mean()), 2),
        "fvu": round(metrics.fvu(x, dictionary.rebuild(x)), 4),
        "recovered": round((ablated - loss) / (ablated - whole), 4),
        "dead": int((z == 0).all(axis=0).sum()),
    }


# Names


def names(tokens):
    """For each row of activations the candidates for a name that hold: ``(n, 2)`` numbers.

    A token that is read, and from `n_tokens` on the token before it.
    """
    n_tokens = bundled()[0].n_tokens
    return np.stack([tokens[:, 1:].ravel(), n_tokens + tokens[:, :-1].ravel()], axis=1)


def scores(active, held):
    """Precision, recall and F1 ``(3, m, n_names)`` of every name for every latent.

    `active` is ``(n, m)`` and says where a latent is above 0; `held` is from `names`.
    """
    n_names = 2 * bundled()[0].n_tokens
    totals = np.bincount(held.ravel(), minlength=n_names)
    hits = np.stack([np.bincount(held[on].ravel(), minlength=n_names) for on in active.T])
    precision = hits / np.maximum(active.sum(axis=0), 1)[:, None]
    recall = hits / np.maximum(totals, 1)
    both = np.maximum(active.sum(axis=0)[:, None] + totals, 1)
    return np.stack([precision, recall, 2 * hits / both])


def named(dictionary, place, trained=True):
    """The name of each latent, with the best F1 on validation text, and its scores on test text.

    Latents of PCA have two sides, of which the positive one is named.
    """
    found = [
        scores(dictionary.encode(activations(part, place, trained)) > 0, names(tokens_of(part)))
        for part in ("val", "test")
    ]
    often = np.bincount(names(tokens_of("val")).ravel(), minlength=found[0].shape[-1]) >= OFTEN
    name = np.where(often, found[0][2], -1).argmax(axis=1)
    of_val, of_test = (part[:, np.arange(len(name)), name] for part in found)
    return name, of_val, of_test


def summary(of_val, of_test):
    """How well names hold on test text: medians over all latents, and the share above a half."""
    return {
        "F1 where named": round(float(np.median(of_val[2])), 4),
        "precision": round(float(np.median(of_test[0])), 4),
        "recall": round(float(np.median(of_test[1])), 4),
        "F1": round(float(np.median(of_test[2])), 4),
        "F1 above 0.5": round(float(np.mean(of_test[2] > 0.5)), 4),
    }


# Interventions


def following(name):
    """Shares of the tokens that follow where a name holds, in the text that was trained on."""
    n_tokens, tokens = bundled()[0].n_tokens, tokens_of("train")
    held = (names(tokens) == name).any(axis=1).reshape(len(tokens), -1)[:, :-1]
    counts = np.bincount(tokens[:, 2:][held], minlength=n_tokens)
    return counts / max(counts.sum(), 1)


def moved(directions, amounts, shares, at):
    """Mean change, in nats, of what is expected to follow, by steps along each of some directions.

    A step is added to the stream at the rows `at` of the test text, as far as `amounts` say, and
    the rest of the model goes on from there. Windows count until there are `N_WINDOWS` of them.
    """
    import torch

    tokens, amounts = tokens_of("test"), amounts * at
    amounts = amounts.reshape(len(tokens), -1, 1).astype(np.float32)
    chosen = np.flatnonzero(amounts.any(axis=(1, 2)))[:N_WINDOWS]
    amounts, shares = torch.tensor(amounts[chosen]), torch.tensor(shares, dtype=torch.float32)

    def expected(splice=None):
        logits = next(call(tokens[chosen], splice))[1][:, 1:]
        return torch.log_softmax(logits[amounts[..., 0] != 0], dim=-1) @ shares

    def splice(value, direction):
        return torch.cat([value[:, :1], value[:, 1:] + amounts * direction], dim=1)

    before = expected()
    found = []
    for direction in directions:
        step = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)
        after = expected({STREAM: lambda value, step=step: splice(value, step)})
        found.append(float((after - before).mean()))
    return found


def chosen(name, f1):
    """The latents with the best names, one for each name."""
    order = np.argsort(-f1, kind="stable")
    return order[np.sort(np.unique(name[order], return_index=True)[1])][:N_NAMED]


def changed(dictionary, seed):
    """What it does to the next token to turn the best-named latents off and up.

    Off: what a latent adds is taken away where it is active and its name holds. Up: its direction
    is added, as long as it is where it is active on average, where its name does not hold. Beside
    them steps of the same length along random directions, the difference of class means, the
    direction of another of these latents, and the latent's row of the encoder.
    """
    name, of_val, _ = named(dictionary, STREAM)
    best = chosen(name, of_val[2])
    x, held = activations("train", STREAM), names(tokens_of("train"))
    z = dictionary.encode(activations("test", STREAM))
    held_test = names(tokens_of("test"))
    rng, rows = np.random.default_rng(seed), []
    encoder = dictionary.params["W_enc"].T
    for place, latent in enumerate(best):
        shares = following(name[latent])
        on = (held == name[latent]).any(axis=1)
        holds = (held_test == name[latent]).any(axis=1)
        mean = x[on].mean(axis=0) - x[~on].mean(axis=0)
        ways = {
            "latent": dictionary.directions[latent],
            "class means": mean,
            "random direction": rng.normal(size=mean.shape),
            "wrong name": dictionary.directions[best[place - 1]],
            "encoder": encoder[latent],
        }
        size = z[z[:, latent] > 0, latent].mean()
        elsewhere = ~holds & (rng.random(len(holds)) < 0.05)
        off = moved(ways.values(), -z[:, latent], shares, holds & (z[:, latent] > 0))
        up = moved(ways.values(), np.full(len(z), size), shares, elsewhere)
        rows.append([off, up])
    means = np.mean(rows, axis=0).round(4)
    return {way: means[:, place].tolist() for place, way in enumerate(ways)}


# From one latent to the next


def transcoder(layer, seed, framework="torch"):
    """Configuration and parameters of a code that rebuilds what an MLP adds from what it reads."""
    config = config_of("TopK", pre_bias=False)
    name, place = f"transcoder{layer}", f"mlp_out_{layer}"
    return config, run_of(name, config, place, seed, framework, source=f"mlp_in_{layer}")[0]


def read_off(first, second):
    """What each latent of one transcoder adds to each of the next, by their weights alone.

    ``(m, m)``: per length of the residual stream that the norm divides by.
    """
    rows = first["W_dec"] - first["W_dec"].mean(axis=1, keepdims=True)  # as the norm does
    return rows @ second["W_enc"]


def paths(seed, n_paths=200, n_windows=40):
    """The strongest direct paths between two transcoders, and what taking a latent away does.

    A path is judged where its first latent is active: by its weight the second should fall by the
    latent's amount times the weight over the length that the norm divides by. Measured is the fall
    with the attention between them held, and without.
    """
    import torch

    (config, first), (_, second) = (transcoder(LAYER + i, seed) for i in (0, 1))
    weight, tokens = read_off(first, second), tokens_of("test")[:n_windows]
    inputs = f"mlp_in_{LAYER}", f"mlp_in_{LAYER + 1}"
    found = {name: np.concatenate([rows[name] for _, _, rows in call(tokens)]) for name in (
        *inputs, f"resid_{LAYER + 1}", f"attn_out_{LAYER + 1}")}  # fmt: skip
    z = Dictionary(config, first).encode(found[inputs[0]].reshape(-1, config.n_features))
    z = z.reshape(*tokens.shape, -1)
    length = (found[f"resid_{LAYER + 1}"] + found[f"attn_out_{LAYER + 1}"]).std(axis=-1)
    strength = np.abs(weight) * z.mean(axis=(0, 1))[:, None]
    best = np.argsort(-strength, axis=None, kind="stable")[:n_paths]
    rows = []
    for i in np.unique(best // weight.shape[1]):
        step = torch.tensor((z[..., [i]] * first["W_dec"][i]).astype(np.float32))
        fall, where = {}, z[..., i] > 0
        for way in ("direct", "all"):
            splice = {f"mlp_out_{LAYER}": lambda value, step=step: value - step}
            if way == "direct":
                held = torch.tensor(found[f"attn_out_{LAYER + 1}"])
                splice[f"attn_out_{LAYER + 1}"] = lambda value, held=held: held
            after = next(call(tokens, splice, batch=len(tokens)))[2][inputs[1]].numpy()
            fall[way] = (found[inputs[1]] - after)[where] @ second["W_enc"]
        for j in best[best // weight.shape[1] == i] % weight.shape[1]:
            expected = (z[..., i] / length)[where] * weight[i, j]
            rows.append([expected.mean(), fall["direct"][:, j].mean(), fall["all"][:, j].mean()])
    expected, direct, everything = np.array(rows).T
    return {
        way: {
            "slope": round(float(expected @ values / (expected @ expected)), 4),
            "correlation": round(float(np.corrcoef(expected, values)[0, 1]), 4),
        }
        for way, values in (("attention held", direct), ("attention free", everything))
    }


# All of it


def dictionaries(seed):
    """Name, place and dictionary of all that are compared, for a seed."""
    for kind in KINDS if seed in OF_KINDS else ("TopK",):
        config = config_of(kind)
        params = run_of(f"{kind}-{STREAM}", config, STREAM, seed)[0]
        yield f"{kind}, {WIDTHS[-1]}", STREAM, Dictionary(config, params)
    if seed in OF_KINDS:
        config = config_of("TopK", WIDTHS[0])
        params = run_of(f"TopK-{WIDTHS[0]}-{STREAM}", config, STREAM, seed)[0]
        yield f"TopK, {WIDTHS[0]}", STREAM, Dictionary(config, params)
    params = run_of(f"TopK-{MLP}", config_of(), MLP, seed)[0]
    yield f"TopK, {WIDTHS[-1]}", MLP, Dictionary(config_of(), params)
    for place in (STREAM, MLP):
        for name, dictionary in untrained(place, seed).items():
            yield name, place, dictionary
        if seed == SEEDS[0]:
            x = activations("train", place)
            yield "PCA, the k largest", place, Components(x)
            yield "PCA, the first k", place, Components(x, first=True)


def small(framework="torch", n=4_000):
    """A training by the same rule in small: what a test can run again."""
    x, x_val = activations("train", STREAM)[:n], activations("val", STREAM)[:1_000]
    _, stages = train(config_of("TopK", 64), x, x_val, 0, framework, cap=6)
    return {"fvu": stages[-1][-1], "epochs": [len(rows) for rows in stages]}


def run():
    found = {STREAM: {}, MLP: {}}
    for seed in SEEDS:
        for name, place, dictionary in dictionaries(seed):
            row = measured(dictionary, place)
            if name != "PCA, the first k":  # which are always the same
                row |= summary(*named(dictionary, place)[1:])
            found[place].setdefault(name, []).append(row)
            print(place, name, seed, row, flush=True)
    config = config_of()
    own = [
        Dictionary(config, run_of("untrained", config, STREAM, seed, trained=False)[0])
        for seed in SEEDS
    ]
    x = activations("test", STREAM, False)
    of_tensorflow = [
        Dictionary(config, run_of(f"TopK-{STREAM}", config, STREAM, seed, "tensorflow")[0])
        for seed in OF_KINDS
    ]
    streams = [Dictionary(config, run_of(f"TopK-{STREAM}", config, STREAM, s)[0]) for s in SEEDS]
    return {
        "losses": {place: [round(value, 4) for value in ends(place)] for place in (STREAM, MLP)},
        "found": found,
        "untrained": [
            {"fvu": round(metrics.fvu(x, dictionary.rebuild(x)), 4)}
            | summary(*named(dictionary, STREAM, trained=False)[1:])
            for dictionary in own
        ],
        "tensorflow": [measured(dictionary, STREAM) for dictionary in of_tensorflow],
        "changed": [changed(d, seed) for d, seed in zip(streams, SEEDS, strict=True)],
        "transcoders": [
            {
                "fvu": [round(transcoder_fvu(layer, seed), 4) for layer in (LAYER, LAYER + 1)],
                "paths": paths(seed),
            }
            for seed in OF_KINDS
        ],
        "small": {framework: small(framework) for framework in ("torch", "tensorflow")},
        "settings": {
            "k": K, "widths": WIDTHS, "rates": RATES, "batch_size": BATCH_SIZE,
            "rows": len(activations("train", STREAM)), "windows": WINDOWS,
        },
    }  # fmt: skip


def transcoder_fvu(layer, seed):
    config, params = transcoder(layer, seed)
    x, inputs = (activations("test", f"mlp_{end}_{layer}") for end in ("out", "in"))
    return metrics.fvu(x, Dictionary(config, params).rebuild(inputs))
