"""Known mistakes, chapter modern: the kinds since 2024."""

from typing import Any

import numpy as np

from saebook import reference
from saebook._types import Array
from saebook.classroom.mistakes.table import Check
from saebook.config import SAEConfig
from saebook.kinds import BatchTopK


def _topk(a: Array, k: int) -> Array:
    return np.where(reference.largest(a, k), np.maximum(a, 0), 0)


def _batch_topk(a: Array, k: int) -> Array:
    config = SAEConfig(1, a.shape[1], "relu", sparsity=BatchTopK(k))
    return reference.code(config.sparsity, config, {}, a, training=True)


def _topk_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    few = np.array([[-2.0, 0.5, -1, -3, -0.25, -6], [4, 5, 1, 2, -0.1, 3]])
    return [(rng.normal(size=(5, 8)), 3), (rng.normal(size=(4, 6)) + 0.5, 2), (few, 3)]


def _tied_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    tied = np.array([[1.0, 3, 1, 1, 0.5, -4], [2, 2, 2, 2, -5, 1]])
    return [(tied, 2), (rng.integers(1, 4, (6, 9)).astype(float), 3)]


CHECKS = {
    "topk": Check.of(
        "topk(a, k)",
        _topk,
        _topk_cases,
        "Give a row of six numbers and ask for the code with k = 2, then with k = 5.",
        small=(np.array([[0.5, 3.0, -1.0, 2.0], [1.0, -4.0, -2.0, -3.0]]), 2),
        by=(0,),
        absolute=(
            lambda a, k: np.where(reference.largest(np.abs(a), k), np.maximum(a, 0), 0),
            "the largest in absolute value are kept: TopK keeps the largest, and a very negative "
            "pre-activation is a very silent latent",
        ),
        over_batch=(
            lambda a, k: np.where(
                reference.largest(a.reshape(1, -1), k).reshape(a.shape), np.maximum(a, 0), 0
            ),
            "the k largest are taken of the whole batch: take k for each sample",
        ),
        batch_topk=(
            _batch_topk,
            "k per sample are kept only on average: this is BatchTopK; TopK keeps k of each sample",
        ),
        columns=(
            lambda a, k: np.where(reference.largest(a.T, k).T, np.maximum(a, 0), 0),
            "the k largest are taken down the columns, of each latent: take k of each sample",
        ),
        one_more=(
            lambda a, k: _topk(a, k + 1),
            "k + 1 latents are kept",
        ),
        one_less=(
            lambda a, k: _topk(a, k - 1),
            "k - 1 latents are kept",
        ),
        smallest=(
            lambda a, k: np.where(reference.largest(-a, k), np.maximum(a, 0), 0),
            "the k smallest are kept: keep the largest",
        ),
        relu_alone=(
            lambda a, k: np.maximum(a, 0),
            "k is not used: all positive pre-activations pass",
        ),
        sizes=(
            lambda a, k: np.where(reference.largest(a, k), np.abs(a), 0),
            "negative pre-activations come out positive: ReLU makes them 0",
        ),
        sorted_values=(
            lambda a, k: np.maximum(-np.sort(-a, axis=1)[:, :k], 0),
            "you return the k values alone: each stays at its own latent, with 0 for the others",
        ),
        shifted=(
            lambda a, k: np.maximum(a - -np.sort(-a, axis=1)[:, k : k + 1], 0),
            "the next largest is subtracted: what is kept is passed on unchanged",
        ),
        no_relu=(
            lambda a, k: np.where(reference.largest(a, k), a, 0),
            "negative pre-activations among the k largest are passed on: ReLU makes them 0",
        ),
        mask=(
            lambda a, k: reference.largest(a, k),
            "your answer says which latents are kept: return their values",
        ),
    ),
    "topk_ties": Check.of(
        "topk(a, k)",
        _topk,
        _tied_cases,
        "Give a row of six numbers, three of them equal, and ask for the code with k = 2.",
        small=(np.array([[1.0, 3.0, 1.0, 1.0]]), 2),
        ties_kept=(
            lambda a, k: np.where(a >= -np.sort(-a, axis=1)[:, k - 1 : k], np.maximum(a, 0), 0),
            "where several are as large as the k-th, all of them are kept: more than k are then "
            "active; keep those with the lowest indices",
        ),
        ties_dropped=(
            lambda a, k: np.where(a > -np.sort(-a, axis=1)[:, k : k + 1], np.maximum(a, 0), 0),
            "where several are as large as the k-th, none of them is kept: fewer than k are then "
            "active; keep those with the lowest indices",
        ),
        ties_last=(
            lambda a, k: np.where(reference.largest(a[:, ::-1], k)[:, ::-1], np.maximum(a, 0), 0),
            "of equal pre-activations the last is kept: the rule is the lowest index, so that "
            "frameworks agree",
        ),
    ),
    "batch_topk_inference": Check.of(
        "batch_topk_inference(a, threshold, k)",
        lambda a, threshold, k: np.where(a > threshold, a, 0),
        lambda rng: [
            (rng.normal(size=(6, 8)) + np.linspace(-2, 1, 6)[:, None], t, k)
            for t, k in ((0.1, 1), (0.8, 3))
        ],
        "Ask for the code of one image alone, and of the same image among brighter ones.",
        small=(np.array([[0.5, 3.0, -1.0, 2.0], [0.2, -4.0, 0.1, 0.3]]), 1.0, 1),
        batch=(
            lambda a, threshold, k: _batch_topk(a, k),
            "the batch decides which latents are kept: at inference the learned threshold does, "
            "so that a sample's code does not depend on its neighbours",
        ),
        per_sample=(
            lambda a, threshold, k: _topk(a, k),
            "k latents per sample are kept: at inference it is what exceeds the threshold",
        ),
        shifted=(
            lambda a, threshold, k: np.maximum(a - threshold, 0),
            "the threshold is subtracted: what exceeds it is passed on unchanged",
        ),
        relu=(
            lambda a, threshold, k: np.maximum(a, 0),
            "the threshold is not used: all positive pre-activations pass",
        ),
        both=(
            lambda a, threshold, k: np.where(a > threshold, _topk(a, k), 0),
            "threshold and k are used together: at inference all that exceeds the threshold "
            "passes, however many they are",
        ),
        both_of_batch=(
            lambda a, threshold, k: np.where(a > threshold, _batch_topk(a, k), 0),
            "what exceeds the threshold passes only if it is among the batch's largest too: the "
            "threshold alone decides",
        ),
        either=(
            lambda a, threshold, k: np.where((a > threshold) | reference.largest(a, k), a, 0),
            "the k largest pass even below the threshold: the threshold alone decides",
        ),
        absolute=(
            lambda a, threshold, k: np.where(np.abs(a) > threshold, a, 0),
            "sizes are compared with the threshold: very negative pre-activations are silent",
        ),
        gate=(
            lambda a, threshold, k: (a > threshold).astype(float),
            "this is the gate, 0 or 1: multiply it by the pre-activation",
        ),
        below=(
            lambda a, threshold, k: np.where(a < threshold, a, 0),
            "the comparison is the wrong way round: what exceeds the threshold passes",
        ),
    ),
    "jumprelu": Check.of(
        "jumprelu(a, theta)",
        lambda a, theta: np.where(a > theta, a, 0),
        lambda rng: [(rng.normal(size=(30, 5)), rng.permutation(np.arange(1, 6)) / 5)],
        "Have the function drawn, and ask for its value just above the threshold.",
        small=(np.array([[0.5, 3.0], [-2.0, 0.1]]), np.array([0.4, 0.2])),
        by=(0,),
        shifted=(
            lambda a, theta: np.maximum(a - theta, 0),
            "this is a shifted ReLU, a - theta: a JumpReLU jumps from 0 to the value itself",
        ),
        relu=(lambda a, theta: np.maximum(a, 0), "the threshold is not used: this is a plain ReLU"),
        gate=(
            lambda a, theta: a > theta,
            "this is the gate, 0 or 1: multiply it by the pre-activation",
        ),
        absolute=(
            lambda a, theta: np.where(np.abs(a) > theta, a, 0),
            "sizes are compared with the threshold: a very negative pre-activation is silent",
        ),
        absolute_value=(
            lambda a, theta: np.where(np.abs(a) > theta, np.abs(a), 0),
            "the size is passed on, also of negative pre-activations: those are silent",
        ),
        below=(
            lambda a, theta: np.where(a < theta, a, 0),
            "the comparison is the wrong way round: what exceeds the threshold passes",
        ),
        one_threshold=(
            lambda a, theta: np.where(a > theta.mean(), a, 0),
            "one threshold serves all latents: each has its own",
        ),
        smallest_threshold=(
            lambda a, theta: np.where(a > theta.min(), a, 0),
            "the smallest threshold serves all latents: each has its own",
        ),
        largest_threshold=(
            lambda a, theta: np.where(a > theta.max(), a, 0),
            "the largest threshold serves all latents: each has its own",
        ),
        floor=(
            lambda a, theta: np.maximum(a, theta),
            "what is below comes out as the threshold: it becomes 0",
        ),
        shrunk=(
            lambda a, theta: np.sign(a) * np.maximum(np.abs(a) - theta, 0),
            "this is soft shrinkage, on both sides of 0: a JumpReLU passes what exceeds theta "
            "unchanged, and nothing negative",
        ),
        added=(
            lambda a, theta: np.where(a > theta, a + theta, 0),
            "the threshold is added: what exceeds it is passed on unchanged",
        ),
    ),
}
