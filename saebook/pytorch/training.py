"""Training, and reading a trained model: NumPy arrays in, NumPy arrays out."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from saebook._types import Array, ArrayLike, Corruption, Samples, StrPath
from saebook.batches import Batches, check_validation_noise
from saebook.checkpoint import State, as_checkpoint, marks
from saebook.checks import (
    check_batch_size,
    check_finite,
    check_noisy,
    check_samples,
    check_validation,
)
from saebook.config import TrainConfig
from saebook.metrics import dead_features, fvu, l0
from saebook.pytorch import distributed
from saebook.pytorch.adam import Adam
from saebook.pytorch.losses import loss_terms
from saebook.pytorch.model import SparseAutoencoder, update_kept
from saebook.pytorch.sparse import active_counts, pays


def fit(
    model: SparseAutoencoder,
    x: Samples,
    train_config: TrainConfig = TrainConfig(),
    x_val: ArrayLike | None = None,
    corruption: Corruption | ArrayLike | None = None,
    checkpoint: State | StrPath | None = None,
    progress: bool | None = None,
    after_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> dict[str, list[float]]:
    """Train a model in place by mini-batch Adam.

    Called again, it goes on from the present weights with a fresh optimiser and the same sequence
    of orders; give it another ``train_config.seed`` for other orders.

    Several processes that torchrun has started, each of which has called
    ``torch.distributed.init_process_group()``, train one model together if all call it alike: of
    every batch each takes its share, and the weights are those of a single process up to rounding.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features), or an iterable of such arrays
        Training samples. An array is copied to a GPU once; a CPU uses it as it is. For data larger
        than memory give a `numpy.memmap` or `saebook.batches.Shards`, which are read batch by
        batch, or an iterable that gives the batches of an epoch, in its order, every time it is
        gone through.
    train_config : TrainConfig
    x_val : array (n_val_samples, n_features), optional
        Validation samples, looked at after every epoch, all at once.
    corruption : callable or array (n_samples, n_features), optional
        ``corruption(batch, rng)`` makes what the encoder sees of a batch, anew in every epoch; the
        target stays the clean batch (a denoising autoencoder, Vincent et al. 2008). Both arrays
        are NumPy's, and so is the generator `rng`, which depends on seed and epoch alone. See
        `saebook.corruption`. Of `x_val` one corrupted copy is made, and kept. An array is one
        corrupted copy of all samples, the same in every epoch.
    checkpoint : str or path-like, optional
        File that is written after every epoch, whole or not at all. If it exists, training goes on
        from it, exactly as if it had never stopped. Of several processes one writes, and all read.
    after_epoch : callable, optional
        ``after_epoch(number, row)`` is called with the number of the epoch, from 1, and its
        figures; training ends when it returns a true value.
    progress : bool, optional
        Whether to show a progress bar; by default on terminals only.

    Returns
    -------
    dict of str to list of float
        One value per epoch. Means over the epoch's samples while the weights move: the terms
        ``reconstruction``, ``sparsity``, ``weight_decay``, their sum ``loss``, and ``l0``, the
        active latents per sample; ``dead`` counts the latents active for no sample of the epoch.
        With `x_val`, the same after the epoch as ``val_...``, and ``val_fvu``.

    Raises
    ------
    ValueError
        If an array does not suit the model, what `corruption` returns does not suit its batch,
        the checkpoint belongs to another training, or mixed precision is asked of a float64 model.
    FloatingPointError
        If the loss or a parameter stops being finite.
    OSError
        If the checkpoint cannot be written. The one before it stays.
    """
    if train_config.mixed_precision and model.dtype != "float32":
        raise ValueError(f"mixed_precision needs a model of dtype float32, got {model.dtype}.")
    rank, world_size = distributed.rank(), distributed.world_size()
    data = Batches(model.config, x, model.dtype, train_config, corruption, rank, world_size)
    x_val = check_validation(model.config, x_val, model.dtype)
    x_val_noisy = check_validation_noise(corruption, x_val, train_config.seed)
    state = as_checkpoint(checkpoint)
    state.begin(model, train_config, data, x_val)
    if world_size > 1:
        distributed.refuse_different(marks(model, train_config, data, state), model.device)
    tensor = partial(torch.as_tensor, device=model.device)
    resident = None if data.array is None else tensor(data.array)
    sparse = pays(model.config, model.device) and not train_config.mixed_precision
    optimizer = Adam(dict(model.named_parameters()), train_config)
    fired = torch.zeros(model.config.n_latents, dtype=torch.bool, device=model.device)
    sums = torch.zeros(5, dtype=model.b_dec.dtype, device=model.device)

    @distributed.together
    def step(
        rate: float, strength: float, batch: torch.Tensor, noisy: torch.Tensor | None = None
    ) -> None:
        z: Any  # a tensor, or a SparseCode
        seen = batch if noisy is None else noisy
        if sparse:
            a, z = model.sparse_code(seen)
        else:
            a = model.preactivation(seen)
            z = model.code(a, training=True)
        terms = loss_terms(model, batch, a, z, strength)
        optimizer.zero_grad()
        terms["loss"].backward()
        distributed.average_gradients(model, len(batch))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        update_kept(model.config.sparsity, model, a, z)
        if model.config.unit_norm:
            model.normalize_decoder()
        with torch.no_grad():
            counts = active_counts(z, model.config.active_above)
            fired.logical_or_(counts > 0)
            values = [*terms.values(), torch.sum(counts) / len(batch)]
            sums.add_(torch.stack(values).detach(), alpha=len(batch))

    n_steps = 0
    if state.adam:
        optimizer.from_numpy(state.adam)
        n_steps = int(state.adam["t"])
    hide = True if rank > 0 else None if progress is None else not progress
    try:
        epochs = range(state.epochs, train_config.epochs)
        for epoch in tqdm(epochs, desc="training", unit="epoch", disable=hide):
            fired.zero_()
            sums.zero_()
            n_samples = 0
            model.product_dtype = torch.bfloat16 if train_config.mixed_precision else None
            for given, *noisy in data.epoch(epoch):
                n_samples += len(given)
                batch = tensor(given)
                if resident is not None:  # twice as fast as indexing
                    batch = torch.index_select(resident, 0, batch)
                rate = train_config.learning_rate_at(n_steps, data.n_steps)
                step(rate, train_config.strength_at(n_steps), batch, *map(tensor, noisy))
                n_steps += 1
            model.product_dtype = None
            names = ("reconstruction", "sparsity", "weight_decay", "loss", "l0")
            means, all_fired = distributed.of_all(sums, fired, n_samples)
            row = dict(zip(names, means.tolist(), strict=True))
            row["dead"] = int(torch.sum(~all_fired))
            check_finite(row["loss"], model.to_numpy(), epoch)
            if x_val is not None:
                values = evaluate(model, x_val, x_val_noisy)
                row |= {f"val_{name}": value for name, value in values.items()}
            state.end_epoch(model, row, optimizer, rank)
            distributed.barrier()
            if after_epoch is not None and after_epoch(epoch + 1, row):
                break
    finally:
        model.product_dtype = None
    return state.history


@torch.no_grad()
def evaluate(
    model: SparseAutoencoder, x: ArrayLike, noisy: ArrayLike | None = None
) -> dict[str, float]:
    """Loss terms, ``l0``, ``dead`` and ``fvu`` of a model on all samples ``x`` at once.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features)
    noisy : array (n_samples, n_features), optional
        What the encoder sees instead of ``x``.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If an array does not suit the model, or all samples are equal.
    """
    x = check_samples(model.config, x, "x", model.dtype)
    seen = x if noisy is None else check_noisy(noisy, x)
    batch = torch.as_tensor(x, device=model.device)
    a = model.preactivation(torch.as_tensor(seen, device=model.device))
    z = model.code(a)
    row = {name: float(value) for name, value in loss_terms(model, batch, a, z).items()}
    codes, x_hat = z.cpu().numpy(), model.decode(z).cpu().numpy()
    row["l0"] = l0(codes, model.config.active_above)
    row["dead"] = int(dead_features(codes, model.config.active_above).sum())
    row["fvu"] = fvu(x, x_hat)
    return row


@torch.no_grad()
def _in_batches(
    function: Callable[[torch.Tensor], torch.Tensor],
    model: SparseAutoencoder,
    x: Array,
    n_columns: int,
    batch_size: int,
) -> Array:
    out = np.empty((len(x), n_columns), model.dtype)
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        out[rows] = function(torch.as_tensor(x[rows], device=model.device)).cpu()
    return out


def encode(model: SparseAutoencoder, x: ArrayLike, batch_size: int = 8192) -> Array:
    """Codes of samples, as a NumPy array ``(n_samples, n_latents)``.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features)
    batch_size : int >= 1
        Samples on the device at a time.

    Raises
    ------
    ValueError
        If the array does not suit the model, or the batch size is not a positive integer.
    """
    check_batch_size(batch_size)
    x = check_samples(model.config, x, "x", model.dtype)
    return _in_batches(model.encode, model, x, model.config.n_latents, batch_size)


def reconstruct(model: SparseAutoencoder, x: ArrayLike, batch_size: int = 8192) -> Array:
    """Reconstructions of samples, as a NumPy array ``(n_samples, n_features)``; see `encode`."""
    check_batch_size(batch_size)
    x = check_samples(model.config, x, "x", model.dtype)
    return _in_batches(model, model, x, model.config.n_features, batch_size)
