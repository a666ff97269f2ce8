"""Training, and reading a trained model: NumPy arrays in, NumPy arrays out."""

import numpy as np
import torch
from tqdm import trange

from saebook.checks import (
    check_batch_size,
    check_finite,
    check_noisy,
    check_samples,
    check_validation,
    corrupted,
)
from saebook.config import TrainConfig
from saebook.metrics import dead_features, fvu, l0
from saebook.pytorch.losses import loss_terms
from saebook.reference import epoch_order, noise_generator


def fit(model, x, train_config=TrainConfig(), x_val=None, corruption=None, progress=None):
    """Train a model in place by mini-batch Adam.

    Called again, it goes on from the present weights with a fresh optimiser and the same sequence
    of orders; give it another ``train_config.seed`` for other orders.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features)
        Training samples. They are copied to the model's device once.
    train_config : TrainConfig
    x_val : array (n_val_samples, n_features), optional
        Validation samples, looked at after every epoch, all at once.
    corruption : callable, optional
        ``corruption(batch, rng)`` makes what the encoder sees of a batch, anew in every epoch; the
        target stays the clean batch (a denoising autoencoder, Vincent et al. 2008). Both arrays
        are NumPy's, and so is the generator `rng`, which depends on seed and epoch alone. See
        `saebook.corruption`. Of `x_val` one corrupted copy is made, and kept.
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
        or mixed precision is asked of a float64 model.
    FloatingPointError
        If the loss or a parameter stops being finite.
    """
    if train_config.mixed_precision and model.dtype != "float32":
        raise ValueError(f"mixed_precision needs a model of dtype float32, got {model.dtype}.")
    clean = check_samples(model.config, x, "x", model.dtype)
    x_val = check_validation(model.config, x_val, model.dtype)
    x_val_noisy = None
    if corruption is not None and x_val is not None:
        x_val_noisy = corrupted(corruption, x_val, noise_generator(train_config.seed))
    x = torch.as_tensor(clean, device=model.device)
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=train_config.learning_rate,
        betas=(train_config.beta_1, train_config.beta_2),
        eps=train_config.epsilon,
        fused=True,
    )
    fired = torch.zeros(model.config.n_latents, dtype=torch.bool, device=model.device)
    sums = torch.zeros(5, dtype=x.dtype, device=model.device)

    def step(rows, noisy=None):
        batch = x[rows]
        z = model.encode(batch if noisy is None else noisy)
        terms = loss_terms(model, batch, z)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        if model.config.unit_norm:
            model.normalize_decoder()
        with torch.no_grad():
            active = torch.abs(z) > model.config.active_above
            fired.logical_or_(torch.any(active, dim=0))
            values = [*terms.values(), torch.sum(active) / len(rows)]
            sums.add_(torch.stack(values).detach(), alpha=len(rows))

    history = {}
    hide = None if progress is None else not progress
    try:
        for epoch in trange(train_config.epochs, desc="training", unit="epoch", disable=hide):
            fired.zero_()
            sums.zero_()
            order = epoch_order(len(x), train_config.seed, epoch)
            noise = noise_generator(train_config.seed, epoch)
            model.product_dtype = torch.bfloat16 if train_config.mixed_precision else None
            rows = torch.as_tensor(order, device=model.device)
            for start in range(0, len(x), train_config.batch_size):
                batch = slice(start, start + train_config.batch_size)
                if corruption is None:
                    step(rows[batch])
                else:
                    noisy = corrupted(corruption, clean[order[batch]], noise)
                    step(rows[batch], torch.as_tensor(noisy, device=model.device))
            model.product_dtype = None
            names = ("reconstruction", "sparsity", "weight_decay", "loss", "l0")
            row = dict(zip(names, (sums / len(x)).tolist(), strict=True))
            row["dead"] = int(torch.sum(~fired))
            check_finite(row["loss"], model.to_numpy(), epoch)
            if x_val is not None:
                values = evaluate(model, x_val, x_val_noisy)
                row |= {f"val_{name}": value for name, value in values.items()}
            for name, value in row.items():
                history.setdefault(name, []).append(value)
    finally:
        model.product_dtype = None
    return history


@torch.no_grad()
def evaluate(model, x, noisy=None):
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
    z = model.encode(torch.as_tensor(seen, device=model.device))
    row = {name: float(value) for name, value in loss_terms(model, batch, z).items()}
    codes, x_hat = z.cpu().numpy(), model.decode(z).cpu().numpy()
    row["l0"] = l0(codes, model.config.active_above)
    row["dead"] = int(dead_features(codes, model.config.active_above).sum())
    row["fvu"] = fvu(x, x_hat)
    return row


@torch.no_grad()
def _in_batches(function, model, x, batch_size):
    parts = [
        function(torch.as_tensor(x[start : start + batch_size], device=model.device)).cpu().numpy()
        for start in range(0, len(x), batch_size)
    ]
    return np.concatenate(parts)


def encode(model, x, batch_size=8192):
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
    return _in_batches(model.encode, model, x, batch_size)


def reconstruct(model, x, batch_size=8192):
    """Reconstructions of samples, as a NumPy array ``(n_samples, n_features)``; see `encode`."""
    check_batch_size(batch_size)
    x = check_samples(model.config, x, "x", model.dtype)
    return _in_batches(model, model, x, batch_size)
