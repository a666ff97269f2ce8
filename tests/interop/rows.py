"""What the checks of all packages share: random models, samples, and the table of differences."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from saebook import BatchTopK, reference
from saebook.pytorch import SparseAutoencoder

TOLERANCE = 1e-5
N_FEATURES, N_LATENTS, K = 16, 24, 5
X = np.random.default_rng(0).normal(size=(400, N_FEATURES)).astype(np.float32)
RESULTS = Path(__file__).resolve().parents[2] / "saebook" / "pages" / "results" / "interop.json"

rows = []


def random_params(config, seed=1):
    """Float32 parameters of a trained model's size, none of them at its start."""
    rng = np.random.default_rng(seed)
    params = {
        name: 0.3 * rng.normal(size=shape).astype(np.float32)
        for name, shape in reference.parameter_shapes(config).items()
    }
    if "threshold" in params:
        params["threshold"] = np.float32(0.7) + 0 * params["threshold"]
    return params


def randomize(module, seed=2):
    """The same of a peer's model, in place; thresholds positive."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.named_parameters():
        value.data = 0.3 * torch.randn(value.shape, generator=generator)
        if name == "threshold":
            value.data = value.data.abs()
    return module.eval()


def clear(config, params, x=X):
    """Which samples have the same active latents a little to the side: no rounding decides."""
    noise = 1e-5 * np.random.default_rng(3).normal(size=x.shape)
    active = [reference.encode(config, params, y) != 0 for y in (x, x + noise, x - noise)]
    kept = (active[0] == active[1]).all(axis=1) & (active[0] == active[2]).all(axis=1)
    assert kept.mean() > 0.9, f"only {kept.mean():.0%} of the samples are clear"
    assert 0 < active[0].mean() < 1, "the code is empty or full"
    return kept


@torch.no_grad()
def compare(package, what, direction, config, params, encode, decode, scale=1.0, units=None):
    """Add a row: largest difference of codes (theirs times `scale`) and of reconstructions.

    Theirs are compared with the specification in float64 and with PyTorch in float32. `encode` and
    `decode` are theirs; `units` are the model's samples where they are not theirs.
    """
    known = X if units is None else units
    kept = clear(config, params, known)
    x, seen = X[kept], known[kept]
    wide = {name: np.asarray(value, np.float64) for name, value in params.items()}
    z = reference.encode(config, wide, seen.astype(np.float64))
    x_hat = reference.decode(config, wide, z)
    model = SparseAutoencoder(config, device="cpu").from_numpy(params)
    z_torch = model.encode(torch.as_tensor(seen))
    z_peer = encode(torch.as_tensor(x))
    x_hat_peer = decode(z_peer).numpy()
    codes = max(np.abs(z_peer.numpy() * scale - other).max() for other in (z, z_torch.numpy()))
    rebuilt = max(
        np.abs(x_hat_peer - other).max() for other in (x_hat, model.decode(z_torch).numpy())
    )
    rows.append(
        {
            "package": package,
            "version": installed(package),
            "architecture": what,
            "direction": direction,
            "codes": float(codes),
            "reconstructions": float(rebuilt),
        }
    )
    small = codes <= TOLERANCE and rebuilt <= TOLERANCE  # a NaN is not
    mark = "" if small else "  TOO MUCH"
    print(f"{package:<22} {what:<44} {direction:<6} {codes:.1e} {rebuilt:.1e}{mark}")


def installed(package):
    """The version of a package, or that it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def name_of(config):
    """A model in words."""
    name = "none" if config.sparsity is None else type(config.sparsity).__name__
    name += ", b_dec taken from x" * config.pre_bias + ", tied" * config.tied
    return name + ", groups" * bool(config.groups and isinstance(config.sparsity, BatchTopK))


def report(missing):
    """Write the table, and return the exit status."""
    packages = sorted({row["package"] for row in rows})
    worst = np.max([[row["codes"], row["reconstructions"]] for row in rows])  # NaN stays
    pairs = {(row["package"], row["architecture"]) for row in rows}
    print(
        f"{len(rows)} rows, {len(pairs)} pairs of package and architecture, {len(packages)} "
        f"packages; largest difference {worst:.1e}, allowed {TOLERANCE:g}"
    )
    if missing:
        print("not installed, so not checked: " + ", ".join(missing))
        return 1
    RESULTS.write_text(json.dumps({"tolerance": TOLERANCE, "rows": rows}, indent=1) + "\n")
    return int(not worst <= TOLERANCE)
