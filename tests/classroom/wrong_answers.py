"""Every known mistake, made on purpose, as a student would write it; see answers.py for `xp`."""

import numpy as np

from tests.classroom.answers import (
    adam,
    auroc,
    batch_topk,
    cosines,
    decibels,
    errors,
    first,
    kl,
    kl_gradient,
    kl_penalty,
    kl_slope,
    most_accurate,
    noise,
    norm,
    norms,
    pca,
    psnr,
    quantile,
    ratio,
    standardised,
    theta_gradient,
    window,
)
from tests.classroom.wrong_answers_2 import MORE
from tests.classroom.wrong_answers_3 import LAST

WRONG = {
    "reconstruction_loss": {
        "mean_over_features": lambda xp, x, y: xp.mean((x - y) ** 2),
        "sum_over_samples": lambda xp, x, y: xp.sum((x - y) ** 2),
        "half": lambda xp, x, y: 0.5 * xp.mean(errors(xp, x, y)),
        "root": lambda xp, x, y: xp.mean(xp.sqrt(errors(xp, x, y))),
        "absolute": lambda xp, x, y: xp.mean(xp.sum(xp.abs(x - y), 1)),
    },
    "l0": {
        "share": lambda xp, z: xp.mean(xp.float(z != 0)),
        "total": lambda xp, z: xp.sum(xp.float(z != 0)),
        "positive_only": lambda xp, z: xp.mean(xp.sum(xp.float(z > 0), 1)),
        "l1": lambda xp, z: xp.mean(xp.sum(xp.abs(z), 1)),
    },
    "dead_latents": {
        "small_mean": lambda xp, z: xp.abs(xp.mean(z, 0)) < 0.01,
        "silent_once": lambda xp, z: xp.any(z == 0, 0),
        "per_sample": lambda xp, z: xp.all(z == 0, 1),
        "not_positive": lambda xp, z: xp.max(z, 0) <= 0,
    },
    "fvu": {
        "about_zero": lambda xp, x, y: ratio(xp, x, y, 0.0),
        "mean_of_ratios": lambda xp, x, y: xp.mean(
            errors(xp, x, y) / xp.sum((x - xp.mean(x, 0)) ** 2, 1)
        ),
        "one_mean": lambda xp, x, y: ratio(xp, x, y, xp.mean(x)),
        "explained": lambda xp, x, y: 1 - ratio(xp, x, y, xp.mean(x, 0)),
    },
    "kl_penalty": {
        "averaged_over_latents": lambda xp, z, rho, beta: (
            beta * xp.mean(kl(xp, rho, xp.mean(z, 0)))
        ),
        "per_sample": lambda xp, z, rho, beta: beta * xp.mean(xp.sum(kl(xp, rho, z), 1)),
        "mean_over_latents": lambda xp, z, rho, beta: beta * xp.sum(kl(xp, rho, xp.mean(z, 1))),
        "one_mean": lambda xp, z, rho, beta: beta * kl(xp, rho, xp.mean(z)),
        "exchanged": lambda xp, z, rho, beta: (
            beta
            * xp.sum(
                xp.mean(z, 0) * xp.log(xp.mean(z, 0) / rho)
                + (1 - xp.mean(z, 0)) * xp.log((1 - xp.mean(z, 0)) / (1 - rho))
            )
        ),
        "one_term": lambda xp, z, rho, beta: beta * xp.sum(rho * xp.log(rho / xp.mean(z, 0))),
        "no_beta": lambda xp, z, rho, beta: kl_penalty(xp, z, rho, 1.0),
        "log2": lambda xp, z, rho, beta: kl_penalty(xp, z, rho, beta) / np.log(2),
        "half": lambda xp, z, rho, beta: beta / 2 * xp.sum(kl(xp, rho, xp.mean(z, 0))),
        "sign": lambda xp, z, rho, beta: -kl_penalty(xp, z, rho, beta),
    },
    "kl_guard": {
        "nan": kl_penalty,
        "absolute": lambda xp, z, rho, beta: beta * xp.sum(kl(xp, rho, xp.abs(xp.mean(z, 0)))),
        "clipped": lambda xp, z, rho, beta: (
            beta * xp.sum(kl(xp, rho, xp.clip(xp.mean(z, 0), 1e-6, 1 - 1e-6)))
        ),
    },
    "kl_gradient": {
        "no_1_over_n": lambda xp, z, rho, beta: xp.broadcast(kl_slope(xp, z, rho, beta), z.shape),
        "per_latent": kl_slope,
        "sign": lambda xp, z, rho, beta: -kl_gradient(xp, z, rho, beta),
        "one_term": lambda xp, z, rho, beta: xp.broadcast(
            -beta * rho / xp.mean(z, 0) / z.shape[0], z.shape
        ),
        "no_beta": lambda xp, z, rho, beta: kl_gradient(xp, z, rho, 1.0),
    },
    "l1_penalty": {
        "mean_over_latents": lambda xp, z, w: w * xp.mean(xp.abs(z)),
        "no_abs": lambda xp, z, w: w * xp.mean(xp.sum(z, 1)),
        "sum_over_samples": lambda xp, z, w: w * xp.sum(xp.abs(z)),
        "squared": lambda xp, z, w: w * xp.mean(xp.sum(z**2, 1)),
        "no_weight": lambda xp, z, w: xp.mean(xp.sum(xp.abs(z), 1)),
    },
    "l1_gradient": {
        "one_at_zero": lambda xp, z, w: w * xp.where(z >= 0, 1.0, -1.0) / z.shape[0],
        "no_1_over_n": lambda xp, z, w: w * xp.sign(z),
        "positive_only": lambda xp, z, w: w * xp.where(z > 0, 1.0, 0.0) / z.shape[0],
    },
    "total_loss": {
        "mean_error_beside_summed_penalty": lambda xp, x, y, z, rho, beta: (
            xp.mean((x - y) ** 2) + kl_penalty(xp, z, rho, beta)
        ),
        "no_beta": lambda xp, x, y, z, rho, beta: (
            xp.mean(errors(xp, x, y)) + kl_penalty(xp, z, rho, 1.0)
        ),
        "no_penalty": lambda xp, x, y, z, rho, beta: xp.mean(errors(xp, x, y)),
        "beta_on_all": lambda xp, x, y, z, rho, beta: (
            beta * (xp.mean(errors(xp, x, y)) + kl_penalty(xp, z, rho, 1.0))
        ),
        "mean_penalty": lambda xp, x, y, z, rho, beta: (
            xp.mean(errors(xp, x, y)) + beta * xp.mean(kl(xp, rho, xp.mean(z, 0)))
        ),
    },
    "unit_norm_step": {
        "before": lambda xp, W, g, r: W / norms(xp, W) - r * g,
        "free": lambda xp, W, g, r: W - r * g,
        "axis": lambda xp, W, g, r: (W - r * g) / xp.sqrt(xp.sum((W - r * g) ** 2, 0)),
        "whole_matrix": lambda xp, W, g, r: (W - r * g) / norm(xp, W - r * g),
        "ascent": lambda xp, W, g, r: (W + r * g) / norms(xp, W + r * g),
    },
    "adam_update": {
        "epsilon_before_correction": lambda xp, g, m, v, t: (
            (0.9 * m + 0.1 * g)
            * (np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
            / (xp.sqrt(0.999 * v + 0.001 * g**2) + 1e-8)
        ),
        "epsilon_inside": lambda xp, g, m, v, t: (
            (0.9 * m + 0.1 * g)
            / (1 - 0.9**t)
            / xp.sqrt((0.999 * v + 0.001 * g**2) / (1 - 0.999**t) + 1e-8)
        ),
        "no_correction": lambda xp, g, m, v, t: (
            (0.9 * m + 0.1 * g) / (xp.sqrt(0.999 * v + 0.001 * g**2) + 1e-8)
        ),
        "t_minus_1": lambda xp, g, m, v, t: adam(xp, g, m, v, t - 1),
    },
    "relative_difference": {
        "absolute": lambda xp, a, b: norm(xp, a - b),
        "over_a": lambda xp, a, b: norm(xp, a - b) / norm(xp, a),
        "entrywise": lambda xp, a, b: xp.mean(xp.abs(a - b) / xp.abs(b)),
    },
    "standardise": {
        "test_statistics": lambda xp, train, test: standardised(xp, test, test),
        "both": lambda xp, train, test: standardised(xp, xp.concat([train, test], axis=0), test),
        "variance": lambda xp, train, test: (
            (test - xp.mean(train, 0)) / xp.mean((train - xp.mean(train, 0)) ** 2, 0)
        ),
        "one_for_all": lambda xp, train, test: (
            (test - xp.mean(train)) / xp.sqrt(xp.mean((train - xp.mean(train)) ** 2))
        ),
        "centre_only": lambda xp, train, test: test - xp.mean(train, 0),
    },
    "pca_reconstruct": {
        "fitted_on_test": lambda xp, train, test, k: pca(
            xp, test, xp.mean(test, 0), test, xp.mean(test, 0), k
        ),
        "not_centred": lambda xp, train, test, k: pca(xp, train, 0.0, test, 0.0, k),
        "test_mean": lambda xp, train, test, k: pca(
            xp, train, xp.mean(train, 0), test, xp.mean(test, 0), k
        ),
    },
    "anomaly_scores": {
        "scalar": lambda xp, x, y, z: xp.mean(errors(xp, x, y)),
        "with_penalty": lambda xp, x, y, z: errors(xp, x, y) + xp.sum(xp.abs(z), 1),
        "mean_over_features": lambda xp, x, y, z: xp.mean((x - y) ** 2, 1),
        "per_feature": lambda xp, x, y, z: xp.sum((x - y) ** 2, 0),
        "signed": lambda xp, x, y, z: xp.sum(y - x, 1),
    },
    "choose_threshold": {
        "test_labels": lambda xp, clean, scores, labels, rate: most_accurate(xp, scores, labels),
        "test_normals": lambda xp, clean, scores, labels, rate: quantile(
            xp, xp.float(np.asarray(scores)[np.asarray(labels) == 0]), 1 - rate
        ),
        "test_scores": lambda xp, clean, scores, labels, rate: quantile(xp, scores, 1 - rate),
        "two_deviations": lambda xp, clean, scores, labels, rate: (
            xp.mean(clean) + 2 * xp.sqrt(xp.mean((clean - xp.mean(clean)) ** 2))
        ),
        "single_number": lambda xp, clean, scores, labels, rate: (
            xp.mean(clean) + 2 * np.std([float(xp.mean(clean))])
        ),
        "wrong_tail": lambda xp, clean, scores, labels, rate: quantile(xp, clean, rate),
        "largest": lambda xp, clean, scores, labels, rate: xp.max(clean),
    },
    "detect": {
        "scalar": lambda xp, scores, threshold: xp.mean(scores) > threshold,
        "below": lambda xp, scores, threshold: scores < threshold,
        "count": lambda xp, scores, threshold: xp.sum(xp.float(scores > threshold)),
    },
    "auroc": {
        "exchanged": lambda xp, normal, anomalous: auroc(xp, anomalous, normal, 0.5),
        "ties_lost": lambda xp, normal, anomalous: auroc(xp, normal, anomalous, 0.0),
        "ties_won": lambda xp, normal, anomalous: auroc(xp, normal, anomalous, 1.0),
    },
    "corrupt": {
        "not_clipped": lambda xp, x, s, n: x + s * n,
        "clip_minus_one": lambda xp, x, s, n: xp.clip(x + s * n, -1.0, 1.0),
        "noise_clipped": lambda xp, x, s, n: x + xp.clip(s * n, 0.0, 1.0),
        "variance": lambda xp, x, s, n: xp.clip(x + s**2 * n, 0.0, 1.0),
        "multiplied": lambda xp, x, s, n: xp.clip(x + s * n * x, 0.0, 1.0),
    },
    "denoising_loss": {
        "noisy_target": lambda xp, f, clean, noisy: xp.mean(errors(xp, f(noisy), noisy)),
        "clean_input": lambda xp, f, clean, noisy: xp.mean(errors(xp, f(clean), clean)),
        "exchanged": lambda xp, f, clean, noisy: xp.mean(errors(xp, f(clean), noisy)),
        "mean_over_features": lambda xp, f, clean, noisy: xp.mean((f(noisy) - clean) ** 2),
    },
    "noisy_epochs": {
        "drawn_once": lambda xp, x, s, epochs, rng: xp.stack([x + s * noise(xp, x, rng)] * epochs),
        "same_for_all_samples": lambda xp, x, s, epochs, rng: xp.stack(
            [x + s * noise(xp, x[0], rng) for _ in range(epochs)]
        ),
        "accumulated": lambda xp, x, s, epochs, rng: xp.stack(
            [x := x + s * noise(xp, x, rng) for _ in range(epochs)]
        ),
    },
    "psnr": {
        "mean_error_first": lambda xp, x, y: decibels(xp, xp.mean((x - xp.clip(y, 0.0, 1.0)) ** 2)),
        "not_clipped": lambda xp, x, y: xp.mean(decibels(xp, xp.mean((x - y) ** 2, 1))),
        "factor_20": lambda xp, x, y: 2 * psnr(xp, x, y),
        "peak_255": lambda xp, x, y: psnr(xp, x, y) + 20 * np.log10(255),
        "sum_of_pixels": lambda xp, x, y: xp.mean(
            decibels(xp, xp.sum((x - xp.clip(y, 0.0, 1.0)) ** 2, 1))
        ),
    },
    "topk": {
        "absolute": lambda xp, a, k: first(xp, xp.abs(a), k) * xp.relu(a),
        "over_batch": lambda xp, a, k: xp.reshape(
            first(xp, xp.flat(a), k) * xp.relu(xp.flat(a)), a.shape
        ),
        "batch_topk": batch_topk,
        "no_relu": lambda xp, a, k: first(xp, a, k) * a,
        "mask": lambda xp, a, k: first(xp, a, k) > 0,
    },
    "batch_topk_inference": {
        "batch": lambda xp, a, t, k: batch_topk(xp, a, k),
        "per_sample": lambda xp, a, t, k: first(xp, a, k) * xp.relu(a),
        "shifted": lambda xp, a, t, k: xp.relu(a - t),
        "relu": lambda xp, a, t, k: xp.relu(a),
    },
    "jumprelu": {
        "shifted": lambda xp, a, theta: xp.relu(a - theta),
        "relu": lambda xp, a, theta: xp.relu(a),
        "gate": lambda xp, a, theta: a > theta,
    },
    "jumprelu_gradient": {
        "no_1_over_bandwidth": lambda xp, a, theta, d_z, e: (
            -xp.sum(theta * window(xp, a, theta, e / 2) * d_z, 0)
        ),
        "window_too_wide": lambda xp, a, theta, d_z, e: (
            -xp.sum(theta * window(xp, a, theta, e) / e * d_z, 0)
        ),
        "no_theta": lambda xp, a, theta, d_z, e: -xp.sum(window(xp, a, theta, e / 2) / e * d_z, 0),
        "sign": lambda xp, a, theta, d_z, e: -theta_gradient(xp, a, theta, d_z, e),
        "mean": lambda xp, a, theta, d_z, e: (
            -xp.mean(theta * window(xp, a, theta, e / 2) / e * d_z, 0)
        ),
        "exact_step": lambda xp, a, theta, d_z, e: 0.0 * theta,
    },
    "auxk_loss": {
        "b_dec_twice": lambda xp, x, y, z, W, b: xp.mean(errors(xp, xp.detach(x - y), z @ W + b)),
        "rebuilds_input": lambda xp, x, y, z, W, b: xp.mean(errors(xp, x, z @ W)),
        "mean_over_features": lambda xp, x, y, z, W, b: xp.mean((xp.detach(x - y) - z @ W) ** 2),
    },
    "topk_ties": {
        "ties_kept": lambda xp, a, k: (
            xp.float(a >= xp.sort(a)[:, a.shape[1] - k, None]) * xp.relu(a)
        ),
        "ties_last": lambda xp, a, k: xp.reverse(first(xp, xp.reverse(a), k)) * xp.relu(a),
    },
    "mean_max_cosine": {
        "other_direction": lambda xp, p, q: xp.mean(xp.max(cosines(xp, q, p), 1)),
        "not_normalised": lambda xp, p, q: xp.mean(xp.max(p @ xp.T(q), 1)),
        "absolute": lambda xp, p, q: xp.mean(xp.max(xp.abs(cosines(xp, p, q)), 1)),
        "mean_of_all": lambda xp, p, q: xp.mean(cosines(xp, p, q)),
    },
    "ablate": {
        "error_lost": lambda xp, h, z, W, j: z @ W - z[:, j, None] * W[j],
        "no_activation": lambda xp, h, z, W, j: h - W[j],
        "projected_out": lambda xp, h, z, W, j: (
            h - xp.sum(h * W[j], 1)[:, None] * W[j] / xp.sum(W[j] ** 2)
        ),
        "added": lambda xp, h, z, W, j: h + z[:, j, None] * W[j],
    },
}

for name, more in (MORE | LAST).items():
    WRONG[name] = {**WRONG.get(name, {}), **more}
