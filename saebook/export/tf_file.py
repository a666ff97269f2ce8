"""A model as a SavedModel, in a folder, and that as a file of LiteRT."""

import contextlib
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, StrPath
from saebook.config import SAEConfig
from saebook.export import needed
from saebook.files import check_writable, replace_file
from saebook.model import Autoencoder


def write(config: SAEConfig, params: dict[str, Array], path: Path, part: str) -> None:
    """The file or the folder, whole or not at all."""
    needed("tensorflow", "tensorflow")
    if path.suffix == ".tflite":
        check_writable(path)
        with tempfile.TemporaryDirectory() as folder, _quiet():
            _save(config, params, Path(folder) / "model", part)
            replace_file(path, _converted(Path(folder) / "model"))
        return
    if os.path.lexists(path):
        raise FileExistsError(f"{path} must be a folder that is not there yet.")
    check_writable(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        _save(config, params, Path(folder) / "model", part)
        shutil.move(Path(folder) / "model", path)


def _save(config: SAEConfig, params: dict[str, Array], folder: Path, part: str) -> None:
    import tensorflow as tf

    from saebook.tensorflow import SparseAutoencoder

    class Constant(Autoencoder):
        """The model with constants for variables: LiteRT would read them before they are set."""

        functions, kinds = SparseAutoencoder.functions, SparseAutoencoder.kinds
        dictionary, encoder_bias = SparseAutoencoder.dictionary, SparseAutoencoder.encoder_bias
        addmm, product_dtype = SparseAutoencoder.addmm, None

    dtype, model, module = str(params["W_enc"].dtype), Constant(), tf.Module()
    model.config = config
    for parameter, value in params.items():
        setattr(model, parameter, tf.constant(value))

    def encode(x: Any) -> dict[str, Any]:
        return {"z": model.encode(x)}

    def decode(z: Any) -> dict[str, Any]:
        return {"x_hat": model.decode(z)}

    def both(x: Any) -> dict[str, Any]:
        z = model.encode(x)
        return {"z": z, "x_hat": model.decode(z)}

    function = {"encoder": encode, "decoder": decode, "both": both}[part]
    name, width = ("z", config.n_latents) if part == "decoder" else ("x", config.n_features)
    module.run = tf.function(function, [tf.TensorSpec([None, width], dtype, name)])
    signature = module.run.get_concrete_function()
    tf.saved_model.save(module, str(folder), {"serving_default": signature})


def _converted(folder: Path) -> bytes:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


@contextlib.contextmanager
def _quiet() -> Any:
    """The converter writes some fifty lines past Python, of what it is doing."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def run(path: Path, given: Array) -> dict[str, Array]:
    """What LiteRT gives, or TensorFlow for a folder, on a processor."""
    if path.suffix == ".tflite":
        interpreter = needed("ai_edge_litert.interpreter", "litert")
        try:
            runner = interpreter.Interpreter(str(path)).get_signature_runner()
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{path} must be a file of LiteRT, got one that is not: {reason}"
            ) from None
        name = next(iter(runner.get_input_details()))
        return {key: np.asarray(value) for key, value in runner(**{name: given}).items()}
    tf = needed("tensorflow", "tensorflow")
    try:
        function = tf.saved_model.load(str(path)).signatures["serving_default"]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} must be a SavedModel, got one that is not: {reason}") from None
    name = next(iter(function.structured_input_signature[1]))
    return {key: value.numpy() for key, value in function(**{name: tf.constant(given)}).items()}


def RUNTIME(path: StrPath) -> str:
    """The name and version of the runtime."""
    if Path(path).suffix == ".tflite":
        return f"LiteRT {version('ai-edge-litert')}"
    return f"TensorFlow {needed('tensorflow', 'tensorflow').__version__}"
