"""What the runtimes that models are exported to compute, every kind and part: `make runtimes`.

Codes and reconstructions of 1000 samples, and the active latents of 1000 samples of small whole
numbers with pairs of equal latents, with which every runtime computes exactly. The table goes to
``saebook/pages/results/runtimes.json``.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from saebook import KL, L1, BatchTopK, Gated, JumpReLU, SAEConfig, TopK, export, reference
from saebook.parameters import parameter_shapes

RESULTS = Path(__file__).resolve().parents[2] / "saebook" / "pages" / "results" / "runtimes.json"
LINEAR = {"activation": "relu", "output": "linear"}
CONFIGS = {
    "none": SAEConfig(64, 256, **LINEAR),
    "L1": SAEConfig(64, 256, sparsity=L1(0.1), tied=True, **LINEAR),
    "KL": SAEConfig(64, 256, "sigmoid", "linear", sparsity=KL()),
    "TopK": SAEConfig(64, 256, sparsity=TopK(16), pre_bias=True, **LINEAR),
    "BatchTopK": SAEConfig(64, 256, sparsity=BatchTopK(16), pre_bias=True, **LINEAR),
    "JumpReLU": SAEConfig(64, 256, sparsity=JumpReLU(), pre_bias=True, **LINEAR),
    "Gated": SAEConfig(64, 256, sparsity=Gated(), pre_bias=True, **LINEAR),
}


def params_of(config, draw):
    """Parameters drawn entry by entry; the fixed ones are whole or plain."""
    params = {name: draw(shape) for name, shape in parameter_shapes(config).items()}
    fixed = {"threshold": 1.0, "log_threshold": 0.0, "r_mag": 0.0}
    for name in fixed.keys() & params.keys():
        params[name] = np.full_like(params[name], fixed[name])
    return params


def ties(config, path):
    """Share of samples with ties in which the same latents are active."""
    rng = np.random.default_rng(2)
    params = params_of(config, lambda shape: rng.integers(-2, 3, shape).astype(np.float32))
    for name in ("W_enc", "b_enc"):
        half = params[name][..., :128]
        params[name] = np.concatenate([half, half], axis=-1)
    x = rng.integers(-2, 3, (1000, 64)).astype(np.float32)
    export.export(config, params, path, "encoder")
    above = config.active_above
    found, z = export.run(path, x)["z"], reference.encode(config, params, x)
    return float(((np.abs(found) > above) == (np.abs(z) > above)).all(axis=1).mean())


def main():
    """Print and keep the table; exit status 1 if anything is too far off, or ties differ."""
    rows, rng = [], np.random.default_rng(0)
    x = rng.normal(size=(1000, 64)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        for kind, config in CONFIGS.items():
            params = params_of(
                config, lambda shape: (rng.normal(size=shape) / 8).astype(np.float32)
            )
            for ending in export.RUNTIMES:
                row = {"kind": kind}
                for part in export.PARTS:
                    path = Path(name) / f"{kind}_{part}{ending}"
                    export.export(config, params, path, part)
                    found = export.check(config, params, path, x, part)
                    row["runtime"] = found.runtime
                    if part != "decoder":
                        row |= {f"{part}_z": found.codes, f"{part}_same": found.same_active}
                    if part != "encoder":
                        row[f"{part}_x_hat"] = found.reconstructions
                row["ties"] = ties(config, Path(name) / f"{kind}_ties{ending}")
                print(row)
                rows.append(row)
    RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    sys.exit(int(not all(map(sound, rows))))


def sound(row):
    """Whether every part computes the same, and ties are decided the same; NaN is not sound."""
    gaps = [value for name, value in row.items() if name.endswith(("_z", "_x_hat"))]
    return len(gaps) == 4 and all(gap <= 1e-5 for gap in gaps) and row["ties"] == 1


if __name__ == "__main__":
    main()
