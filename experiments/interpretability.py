"""Dictionaries of a classifier's activations, and controls: behind book/interpretability.md.

Names are given on training images and tested on validation images; the test set is not looked at.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from saebook import AuxK, SAEConfig, TopK, TrainConfig, metrics, mnist
from saebook.start import epoch_order, init_tied

SEEDS = (0, 1, 2)
FRAMEWORKS = ("torch", "tensorflow")
SIZES, N_STEPS, BATCH = ((784, 256), (256, 64), (64, 10)), 644, 256
WIDTH, K, AUX = 256, 8, 64
EPOCHS, RATE, DECAY = 16, 1e-3, 0.2  # of a dictionary; the decay as a share of all steps
FROZEN_EPOCHS = 4  # of one with a random decoder, which is flat after the first
N_NAMED = 12_000  # training images by which latents are named
SHARE, OFTEN = 0.7, 100  # the rule
PROBES = (1, 2, 4, 8)  # latents of which a probe reads a class
MATCHED = 0.7  # cosine above which two directions count as the same
DICTIONARIES = (
    "trained",
    "trained, another seed",
    "random decoder",
    "samples",
    "random",
    "PCA",
    "hidden units",
)


@cache
def digits():
    return mnist()


def labels():
    return digits().y_train.astype(np.int64), digits().y_val.astype(np.int64)


# The classifier, as on the page


def first_weights(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, np.sqrt(2 / size[0]), size).astype(np.float32) for size in SIZES]


def batches(seed):
    n = len(digits().x_train)
    orders = [epoch_order(n, seed, epoch) for epoch in range(-(-N_STEPS * BATCH // n))]
    return np.concatenate(orders)[: N_STEPS * BATCH].reshape(N_STEPS, BATCH)


def torch_classifier(seed):
    import torch

    layers = []
    for weight in first_weights(seed):
        layer = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.zero_()
        layers += [layer, torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, N_STEPS)
    y = labels()[0]
    for rows in batches(seed):
        logits = network(torch.from_numpy(digits().x_train[rows]))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    @torch.no_grad()
    def hidden(x):
        return network[:2](torch.from_numpy(x)).numpy()

    @torch.no_grad()
    def rest(h):
        return network[2:](torch.from_numpy(h)).numpy()

    return hidden, rest


def tensorflow_classifier(seed):
    import keras
    import tensorflow as tf

    first = keras.Sequential([keras.Input((784,)), keras.layers.Dense(256, "relu")])
    last = keras.Sequential(
        [keras.Input((256,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    )
    weights = [w for weight in first_weights(seed) for w in (weight, np.zeros(weight.shape[1]))]
    first.set_weights(weights[:2])
    last.set_weights(weights[2:])
    schedule = keras.optimizers.schedules.PolynomialDecay(2e-3, N_STEPS, 0)
    optimizer = keras.optimizers.Adam(schedule)
    variables = first.trainable_variables + last.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            errors = tf.nn.sparse_softmax_cross_entropy_with_logits(y, last(first(x)))
            loss = tf.reduce_mean(errors)
        optimizer.apply(tape.gradient(loss, variables))

    y = labels()[0]
    for rows in batches(seed):
        step(tf.constant(digits().x_train[rows]), tf.constant(y[rows]))
    hidden_graph, rest_graph = tf.function(first), tf.function(last, reduce_retracing=True)
    return (
        lambda x: hidden_graph(tf.constant(x)).numpy(),
        lambda h: rest_graph(tf.constant(h)).numpy(),
    )


class Network(NamedTuple):
    """A classifier from its activations on, which are divided by one number."""

    rest: Any  # from scaled activations to logits
    h: Any  # activations of training images
    h_val: Any
    framework: str
    seed: int


def network_of(framework, seed):
    make = torch_classifier if framework == "torch" else tensorflow_classifier
    hidden, rest = make(seed)
    h, h_val = hidden(digits().x_train), hidden(digits().x_val)
    scale = np.sqrt(np.mean((h - h.mean(axis=0)) ** 2))
    return Network(lambda a: rest(np.float32(a * scale)), h / scale, h_val / scale, framework, seed)


# Dictionaries: rows of norm 1, codes of at most K positive entries


class Dictionary(NamedTuple):
    rows: Any  # (n_latents, n_features)
    z: Any  # code of the training images
    z_val: Any
    h_hat: Any  # reconstruction of the validation activations
    curve: Any = None  # validation FVU after each epoch


def trained(network, seed, epochs=EPOCHS, frozen=False, decay=DECAY):
    """A dictionary of `saebook`; if `frozen`, the decoder keeps its random rows."""
    if network.framework == "torch":
        from saebook.pytorch import SparseAutoencoder, encode, fit, reconstruct
    else:
        from saebook.tensorflow import SparseAutoencoder, encode, fit, reconstruct

    h = network.h
    config = SAEConfig(
        h.shape[1], WIDTH, "relu", "linear", sparsity=TopK(K, AuxK(k=AUX, dead_after=len(h))),
        pre_bias=True, unit_norm=True,
    )  # fmt: skip
    model = SparseAutoencoder(config, device="cpu")
    start = init_tied(config, h[:4000], seed)
    model.from_numpy(start)
    if frozen:  # what is called after every step puts the first rows back
        rows = start["W_dec"].astype(np.float32)
        if network.framework == "torch":
            model.normalize_decoder = lambda: model.set_parameter("W_dec", rows)
        else:
            model.normalize_decoder = lambda: model.W_dec.assign(rows)
    steps = epochs * -(-len(h) // 256)
    learning = TrainConfig(
        epochs=epochs, learning_rate=RATE, decay_steps=round(decay * steps), seed=seed
    )
    history = fit(model, h, learning, x_val=network.h_val, progress=False)
    params = model.to_numpy()
    if frozen:
        np.testing.assert_allclose(params["W_dec"], rows, atol=1e-6)
    return Dictionary(
        params["W_dec"], encode(model, h), encode(model, network.h_val),
        reconstruct(model, network.h_val), np.round(history["val_fvu"], 4).tolist(),
    )  # fmt: skip


def largest(a, k=K):
    """The k largest positive entries of each row, zeros elsewhere."""
    a = np.maximum(a, 0)
    least = np.partition(a, -k, axis=1)[:, -k, None]
    return np.where(a >= least, a, 0).astype(np.float32)


def untrained(network, rows, centred=True, k=K):
    """Rows that nobody trained, read by their scalar products; one scale fitted."""
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    mean = network.h.mean(axis=0) if centred else np.float32(0)
    code, target = largest((network.h - mean) @ rows.T, k), network.h - mean
    made = code @ rows
    scale = np.float32(np.vdot(made, target) / np.vdot(made, made))
    z_val = scale * largest((network.h_val - mean) @ rows.T, k)
    return Dictionary(rows, scale * code, z_val, z_val @ rows + mean)


def samples(network, seed, k=K):
    """Training activations, less their mean, as rows."""
    chosen = np.random.default_rng([seed, 1]).choice(len(network.h), WIDTH, replace=False)
    return untrained(network, network.h[chosen] - network.h.mean(axis=0), k=k)


def dictionary(network, name, seed):
    """A dictionary by its name; `seed` draws what is random in it."""
    if name.startswith("trained"):
        return trained(network, seed)
    if name == "random decoder":
        return trained(network, seed, FROZEN_EPOCHS, frozen=True)
    if name == "samples":
        return samples(network, seed)
    if name == "random":
        rows = np.random.default_rng([seed, 2]).normal(size=(WIDTH, network.h.shape[1]))
        return untrained(network, rows)
    if name == "PCA":  # each component in both its directions
        components = PCA(WIDTH // 2, random_state=0).fit(network.h).components_
        return untrained(network, np.concatenate([components, -components]))
    return untrained(network, np.eye(network.h.shape[1]), centred=False)


# Names


def shares(code, y):
    """Share of each class in the columns' activation, classes counted alike."""
    means = np.array([code[y == label].mean(axis=0) for label in range(10)])
    return means / np.maximum(means.sum(axis=0), np.finfo(np.float32).tiny)


def names(code, y, at_least=SHARE, often=OFTEN):
    """The digit of every column that deserves a name."""
    share = shares(code, y)
    deserves = (share.max(axis=0) >= at_least) & ((code > 0).sum(axis=0) >= often)
    return {int(j): int(share[:, j].argmax()) for j in np.flatnonzero(deserves)}


def precision(code, y, named):
    """Of the images for which a named column is active, the share that shows its digit: median."""
    return float(np.median([np.mean(y[code[:, j] > 0] == c) for j, c in named.items()]))


def probes(z, y, z_val, y_val):
    """F1 of classes read from their 1, 2, ... best columns, mean over the digits.

    The columns are those whose means over the class and over the rest differ most, on training
    images, as in SAEBench.
    """
    found = {}
    scale = np.sqrt(np.mean(z**2)) + 1e-12
    for k in PROBES:
        f1 = []
        for c in range(10):
            apart = np.abs(z[y == c].mean(axis=0) - z[y != c].mean(axis=0))
            best = np.argsort(-apart)[:k]
            model = LogisticRegression(max_iter=200).fit(z[:, best] / scale, y == c)
            said, true = model.predict(z_val[:, best] / scale), y_val == c
            f1.append(2 * np.sum(said & true) / max(np.sum(said) + np.sum(true), 1))
        found[str(k)] = float(np.mean(f1))
    return found


# Interventions, as on the page


def margin(change, label):
    others = (change.sum(axis=-1) - change[..., label]) / (change.shape[-1] - 1)
    return change[..., label] - others


def length_one(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def intervene(network, d, named, typical, y_val, seed=0, at_most=100, at_least=20):
    """Mean effect on the named digit's margin, over that of random steps: off and up.

    Also how often a latent's effect has the sign of its name, and the effect of a step of equal
    size towards the class mean.
    """
    y = labels()[0]
    mean = network.h.mean(axis=0)
    towards = length_one(np.stack([network.h[y == c].mean(axis=0) - mean for c in range(10)]))
    rng, found = np.random.default_rng(seed), {"off": [], "up": []}
    for j, label in named.items():
        code = d.z_val[:, j]
        for kind, rows in (("off", code > 0), ("up", (code == 0) & (y_val != label))):
            images = np.flatnonzero(rows)[:at_most]
            if len(images) < at_least:
                continue
            sign = -1 if kind == "off" else 1
            size = code[images] if kind == "off" else np.full(len(images), 2 * typical[j])
            random = length_one(rng.normal(size=(8, network.h.shape[1])))
            directions = np.stack([sign * d.rows[j], sign * towards[label], *random])
            steps = size[None, :, None] * directions[:, None, :].astype(np.float32)
            h = network.h_val[images]
            moved = network.rest((h + steps).reshape(-1, h.shape[1]))
            moved = margin(moved.reshape(*steps.shape[:2], -1) - network.rest(h), label)
            found[kind].append(
                [sign * moved[0].mean(), sign * moved[1].mean(), np.abs(moved[2:]).mean()]
            )
    row = {}
    for kind, rows in found.items():
        if rows:
            effect, class_mean, random = np.array(rows).T
            row[kind] = float(effect.mean() / random.mean())
            row[f"{kind}, class mean"] = float(class_mean.mean() / random.mean())
            row[f"{kind}, right sign"] = float(np.mean(effect > 0))
            row[f"{kind}, tested"] = len(rows)
    return row


# A dictionary judged


def cross_entropy(logits, y):
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y])


def recovered(network, h_hat):
    """Loss recovered and accuracy with a stand-in for the validation activations."""
    y = labels()[1]
    ablated = np.broadcast_to(network.h.mean(axis=0), h_hat.shape)
    loss = [cross_entropy(network.rest(a), y) for a in (network.h_val, h_hat, ablated)]
    right = np.mean(network.rest(h_hat).argmax(axis=1) == y)
    return float((loss[2] - loss[1]) / (loss[2] - loss[0])), float(right)


def typical(code):
    return np.array([np.median(z[z > 0]) if z.any() else 0 for z in code.T])


def rounded(row, digits=4):
    return {
        key: rounded(value, digits) if isinstance(value, dict) else round(value, digits)
        for key, value in row.items()
    }


def judge(network, d, seed):
    """What is measured of a dictionary; names and strengths from the first training images."""
    (y, y_val), z = labels(), d.z[:N_NAMED]
    y = y[:N_NAMED]
    named = names(z, y)
    back, right = recovered(network, d.h_hat)
    row = {
        "fvu": metrics.fvu(network.h_val, d.h_hat),
        "l0": metrics.l0(d.z_val),
        "recovered": back,
        "right": right,
        "dead": int(np.sum(~(d.z > 0).any(axis=0))),
        "often": int(np.sum((z > 0).sum(axis=0) >= OFTEN)),
        "named": len(named),
        "digits named": len(set(named.values())),
        "f1": probes(z, y, d.z_val, y_val),
    }
    if named:
        share = shares(d.z_val, y_val)
        row["kept"] = float(np.median([share[c, j] for j, c in named.items()]))
        row["precision"] = precision(d.z_val, y_val, named)
        row |= intervene(network, d, named, typical(z), y_val, seed)
        wrong = {j: (c + 1) % 10 for j, c in named.items()}
        with_wrong = intervene(network, d, wrong, typical(z), y_val, seed)
        row["wrong names"] = {kind: with_wrong[kind] for kind in ("off", "up")}
    return rounded(row)


def found_again(first, second):
    """How alike two dictionaries of one network are: rows and names."""
    y = labels()[0][:N_NAMED]
    named, others = (names(d.z[:N_NAMED], y) for d in (first, second))
    matched = metrics.matched_cosines(first.rows, second.rows)
    cosines = length_one(first.rows) @ length_one(second.rows).T
    partner = {j: int(cosines[j].argmax()) for j in named}
    same = [cosines[j, i] > MATCHED and others.get(i) == named[j] for j, i in partner.items()]
    return {
        "matched": round(float(np.mean(matched > MATCHED)), 4),
        "mean cosine": round(float(matched.mean()), 4),
        "names": round(float(np.mean(same)), 4) if same else None,
    }


def one(framework, seed):
    """All dictionaries of one classifier."""
    network = network_of(framework, seed)
    found, again, curves = {}, {}, {}
    kept = {}
    for name in DICTIONARIES:
        made = dictionary(network, name, seed + 100 * name.endswith("another seed"))
        found[name] = judge(network, made, seed)
        if made.curve:
            curves[name] = made.curve
        if name in ("trained", "trained, another seed", "samples"):
            kept[name] = made
    again["trained"] = found_again(kept["trained"], kept["trained, another seed"])
    again["samples"] = found_again(kept["samples"], samples(network, seed + 100))
    wider = {
        str(k): metrics.fvu(network.h_val, samples(network, seed, k).h_hat) for k in (16, 32, 64)
    }
    return {
        "right": recovered(network, network.h_val)[1],
        "found": found,
        "again": again,
        "curves": curves,
        "samples, more active": rounded(wider),
    }


def longer(seed=0):
    """The first dictionary trained for twice as many epochs: how flat is flat?"""
    network = network_of(FRAMEWORKS[0], seed)
    made = trained(network, seed, 2 * EPOCHS)
    return {"found": judge(network, made, seed), "curve": made.curve}


def run():
    return {
        "settings": {
            "seeds": SEEDS,
            "width": WIDTH,
            "k": K,
            "epochs": EPOCHS,
            "epochs with a random decoder": FROZEN_EPOCHS,
            "learning_rate": RATE,
            "decay": DECAY,
            "rule": {"share": SHARE, "often": OFTEN, "images": N_NAMED},
            "matched above": MATCHED,
        },
        **{
            framework: {str(seed): one(framework, seed) for seed in SEEDS}
            for framework in FRAMEWORKS
        },
        "twice as long": longer(),
    }
