"""Right answers as a student would write them, and what the wrong ones are made of.

Each function takes `xp` first: the operations of PyTorch or of TensorFlow. So one text makes the
same mistake with either framework's tensors.
"""

from types import SimpleNamespace

import numpy as np


def torch_operations():
    import torch

    def over(function):
        return lambda a, axis=None: function(a) if axis is None else function(a, axis)

    return SimpleNamespace(
        name="torch",
        mean=over(torch.mean),
        sum=over(torch.sum),
        max=over(torch.amax),
        min=over(torch.amin),
        any=over(torch.any),
        all=over(torch.all),
        log=torch.log,
        abs=torch.abs,
        sqrt=torch.sqrt,
        where=lambda c, a, b: torch.where(c, torch.as_tensor(a), torch.as_tensor(b)).float(),
        clip=torch.clamp,
        float=lambda a: torch.as_tensor(a, dtype=torch.float32),
        stack=torch.stack,
        concat=lambda a, axis=0: torch.cat(a, axis),
        sort=lambda a: torch.sort(a, dim=-1).values,
        full=lambda shape, value: torch.full(tuple(shape), float(value)),
        item=lambda a: a.item(),
        numpy=lambda a: a.detach().numpy(),
        range=lambda n: torch.arange(n),
        order=lambda a: torch.argsort(-a, dim=-1, stable=True),
        relu=torch.relu,
        T=lambda a: a.T,
        broadcast=torch.broadcast_to,
        flat=lambda a: a.reshape(1, -1),
        reshape=torch.reshape,
        reverse=lambda a: torch.flip(a, [-1]),
        axes=lambda a: torch.linalg.svd(a, full_matrices=False).Vh,
        detach=lambda a: a.detach(),
        invert=torch.logical_not,
        gather=lambda a, i: a[i],
        sign=torch.sign,
        sigmoid=torch.sigmoid,
    )


def tensorflow_operations():
    import tensorflow as tf

    return SimpleNamespace(
        name="tensorflow",
        mean=tf.reduce_mean,
        sum=tf.reduce_sum,
        max=tf.reduce_max,
        min=tf.reduce_min,
        any=tf.reduce_any,
        all=tf.reduce_all,
        log=tf.math.log,
        abs=tf.abs,
        sqrt=tf.sqrt,
        where=lambda c, a, b: tf.where(c, tf.cast(a, tf.float32), tf.cast(b, tf.float32)),
        clip=tf.clip_by_value,
        float=lambda a: tf.cast(a, tf.float32),
        stack=tf.stack,
        concat=tf.concat,
        sort=tf.sort,
        full=lambda shape, value: tf.fill(tuple(shape), float(value)),
        item=lambda a: float(a),
        numpy=lambda a: a.numpy(),
        range=tf.range,
        order=lambda a: tf.argsort(-a, axis=-1, stable=True),
        relu=tf.nn.relu,
        T=tf.transpose,
        broadcast=tf.broadcast_to,
        flat=lambda a: tf.reshape(a, (1, -1)),
        reshape=tf.reshape,
        reverse=lambda a: tf.reverse(a, [-1]),
        axes=lambda a: tf.transpose(tf.linalg.svd(a)[2]),
        detach=tf.stop_gradient,
        invert=tf.logical_not,
        gather=tf.gather,
        sign=tf.sign,
        sigmoid=tf.sigmoid,
    )


def kl(xp, rho, m):
    return rho * xp.log(rho / m) + (1 - rho) * xp.log((1 - rho) / (1 - m))


def kl_penalty(xp, z, rho, beta):
    return beta * xp.sum(kl(xp, rho, xp.mean(z, 0)))


def kl_slope(xp, z, rho, beta):
    m = xp.mean(z, 0)
    return beta * ((1 - rho) / (1 - m) - rho / m)


def kl_gradient(xp, z, rho, beta):
    return xp.broadcast(kl_slope(xp, z, rho, beta) / z.shape[0], z.shape)


def output_gradient(xp, x, o):
    y = xp.sigmoid(o)
    return 2 * (y - x) * y * (1 - y) / x.shape[0]


def kl_guard(xp, z, rho, beta):
    if not ((np.asarray(z) >= 0) & (np.asarray(z) <= 1)).all():
        raise ValueError("codes outside [0, 1]")
    return kl_penalty(xp, z, rho, beta)


def errors(xp, x, y):
    return xp.sum((x - y) ** 2, 1)


def norms(xp, W):
    return xp.sqrt(xp.sum(W**2, 1))[:, None]


def first(xp, a, k):
    """1 for the first k of each row in falling order, the lowest index first."""
    rank = np.argsort(np.asarray(xp.order(a)), axis=-1)
    return xp.float(rank < k)


def auroc(xp, normal, anomalous, tie):
    higher = xp.float(anomalous[:, None] > normal)
    return xp.mean(higher + tie * xp.float(anomalous[:, None] == normal))


def most_accurate(xp, scores, labels):
    tried = [
        (-float(xp.mean(xp.float((scores > t) == (labels == 1)))), float(t))
        for t in xp.sort(scores)
    ]
    return min(tried)[1]


def quantile(xp, scores, q):
    ordered = np.asarray(xp.sort(scores))
    return np.interp(q * (len(ordered) - 1), np.arange(len(ordered)), ordered)


def standardised(xp, statistics, test):
    m = xp.mean(statistics, 0)
    return (test - m) / xp.sqrt(xp.mean((statistics - m) ** 2, 0))


def pca(xp, fit, centre, test, shift, k):
    V = xp.axes(fit - centre)[:k]
    return (test - shift) @ xp.T(V) @ V + shift


def noise(xp, x, rng):
    return xp.float(rng.standard_normal(tuple(x.shape)))


def decibels(xp, mean_square):
    return -10 * xp.log(mean_square) / np.log(10)


def psnr(xp, x, y):
    return xp.mean(decibels(xp, xp.mean((x - xp.clip(y, 0.0, 1.0)) ** 2, 1)))


def adam(xp, g, m, v, t):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return m / (1 - 0.9**t) / (xp.sqrt(v / (1 - 0.999**t)) + 1e-8)


def norm(xp, a):
    return xp.sqrt(xp.sum(a**2))


def batch_topk(xp, a, k):
    flat = xp.flat(a)
    return xp.reshape(first(xp, flat, k * a.shape[0]) * xp.relu(flat), a.shape)


def window(xp, a, theta, half):
    return xp.float(xp.abs(a - theta) < half)


def theta_gradient(xp, a, theta, d_z, e):
    return -xp.sum(theta * window(xp, a, theta, e / 2) / e * d_z, 0)


def auxk(xp, x, y, z, W, b):
    return xp.mean(xp.sum((xp.detach(x - y) - z @ W) ** 2, 1))


def cosines(xp, a, b):
    return (a / norms(xp, a)) @ xp.T(b / norms(xp, b))


def ratio(xp, x, y, centre):
    return xp.sum((x - y) ** 2) / xp.sum((x - centre) ** 2)


def scaled(xp, x, epsilon=1e-5):
    """Rows over the root of their mean square."""
    return x / xp.sqrt(xp.mean(x**2, 1) + epsilon)[:, None]


def centred(xp, x):
    return x - xp.mean(x, 1)[:, None]


def whole(xp, shares, rho):
    """The KL penalty of a batch that lies in several processes."""
    rows = sum(z.shape[0] for z in shares)
    return xp.sum(kl(xp, rho, sum(xp.sum(z, 0) for z in shares) / rows))


def found_again(xp, p, q, t):
    """By the costs that SciPy's solver asks for."""
    from scipy.optimize import linear_sum_assignment

    likeness = np.asarray(cosines(xp, p, q))
    first, second = linear_sum_assignment(1 - likeness)
    return np.mean([likeness[i, j] > t for i, j in zip(first, second, strict=True)])


def one_latent(z, y, z_test, y_test, rank=None, middle=None, sides=2):
    """Accuracy of the latent that `rank` puts first, above or below (or only above) a middle."""
    a, b = z[y].mean(0), z[~y].mean(0)
    j = int(np.argmax(abs(a - b) if rank is None else rank(a, b)))
    limit = (a[j] + b[j]) / 2 if middle is None else middle(a[j], b[j])
    guess = z_test[:, j] > limit
    if sides == 2 and a[j] <= b[j]:
        guess = ~guess
    return float((guess == y_test).mean())


RIGHT = {
    "reconstruction_loss": lambda xp, x, y: xp.mean(errors(xp, x, y)),
    "l0": lambda xp, z: xp.mean(xp.sum(xp.float(z != 0), 1)),
    "dead_latents": lambda xp, z: xp.all(z == 0, 0),
    "fvu": lambda xp, x, y: ratio(xp, x, y, xp.mean(x, 0)),
    "kl_penalty": kl_penalty,
    "kl_guard": kl_guard,
    "output_gradient": output_gradient,
    "kl_gradient": kl_gradient,
    "l1_penalty": lambda xp, z, w: w * xp.mean(xp.sum(xp.abs(z), 1)),
    "l1_gradient": lambda xp, z, w: w * xp.sign(z) / z.shape[0],
    "total_loss": lambda xp, x, y, z, rho, beta: (
        xp.mean(errors(xp, x, y)) + kl_penalty(xp, z, rho, beta)
    ),
    "unit_norm_step": lambda xp, W, g, r: (W - r * g) / norms(xp, W - r * g),
    "adam_update": adam,
    "relative_difference": lambda xp, a, b: norm(xp, a - b) / norm(xp, b),
    "standardise": lambda xp, train, test: standardised(xp, train, test),
    "pca_reconstruct": lambda xp, train, test, k: pca(
        xp, train, xp.mean(train, 0), test, xp.mean(train, 0), k
    ),
    "anomaly_scores": lambda xp, x, y, z: errors(xp, x, y),
    "choose_threshold": lambda xp, clean, scores, labels, rate: quantile(xp, clean, 1 - rate),
    "detect": lambda xp, scores, threshold: scores > threshold,
    "auroc": lambda xp, normal, anomalous: auroc(xp, normal, anomalous, 0.5),
    "corrupt": lambda xp, x, s, n: xp.clip(x + s * n, 0.0, 1.0),
    "denoising_loss": lambda xp, f, clean, noisy: xp.mean(errors(xp, f(noisy), clean)),
    "noisy_epochs": lambda xp, x, s, epochs, rng: xp.stack(
        [x + s * noise(xp, x, rng) for _ in range(epochs)]
    ),
    "psnr": psnr,
    "topk": lambda xp, a, k: first(xp, a, k) * xp.relu(a),
    "topk_ties": lambda xp, a, k: first(xp, a, k) * xp.relu(a),
    "kl_of_batch": lambda xp, shares, rho: whole(xp, shares, rho),
    "batch_topk_inference": lambda xp, a, t, k: xp.where(a > t, a, 0.0),
    "jumprelu": lambda xp, a, theta: xp.where(a > theta, a, 0.0),
    "jumprelu_gradient": theta_gradient,
    "auxk_loss": auxk,
    "mean_max_cosine": lambda xp, p, q: xp.mean(xp.max(cosines(xp, p, q), 1)),
    "share_found_again": found_again,
    "probe_one_latent": lambda xp, *args: one_latent(*map(np.asarray, args)),
    "ablate": lambda xp, h, z, W, j: h - z[:, j, None] * W[j],
    "layer_norm": lambda xp, x: scaled(xp, centred(xp, x)),
    "steer": lambda xp, h, E, D, j, amount: h + amount * D[j],
}
