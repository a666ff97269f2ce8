"""A model as an ONNX file: the specification's formulas, one operator for each step."""

from pathlib import Path
from typing import Any

import numpy as np

from saebook._types import Array, StrPath
from saebook.config import SAEConfig
from saebook.export import PARTS, needed
from saebook.files import check_writable, replace_file
from saebook.kinds import BatchTopK, Gated, JumpReLU, TopK
from saebook.parameters import dictionary

OPSET, IR = 18, 9  # of 2022 and 2023: what any runtime of today reads
FUNCTIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "linear": "Identity"}


class Graph:
    """Operators and constants as they are added; each step has the name of its result."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Array) -> str:
        """A constant, by name."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **settings: Any) -> str:
        """An operator, and the name of its result."""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **settings))
        return output


def write(config: SAEConfig, params: dict[str, Array], path: Path, part: str) -> None:
    """The file, whole or not at all. Of equal pre-activations TopK keeps the first, as here."""
    onnx = needed("onnx", "onnx")
    needed("onnx.checker", "onnx")
    check_writable(path)
    graph = Graph(onnx)
    dtype = params["W_enc"].dtype
    if part != "decoder":
        _encoder(config, params, graph)
    if part != "encoder":
        product = graph.add(
            "MatMul", ["z", graph.constant("W_dec", _rows(dictionary(config, params)))], "z_W_dec"
        )
        o = graph.add("Add", [product, graph.constant("b_dec", params["b_dec"])], "o")
        graph.add(FUNCTIONS[config.output], [o], "x_hat")
    widths = {"x": config.n_features, "z": config.n_latents, "x_hat": config.n_features}
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)

    def described(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, kind, ["n_samples", widths[name]])

    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "saebook",
            [described("z" if part == "decoder" else "x")],
            [described(name) for name in PARTS[part]],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="saebook",
    )
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())


def _rows(value: Array) -> Array:
    return np.ascontiguousarray(value)


def _encoder(config: SAEConfig, params: dict[str, Array], graph: Graph) -> None:
    dtype, seen = params["W_enc"].dtype, "x"
    if config.pre_bias:
        seen = graph.add("Sub", ["x", graph.constant("pre_bias", params["b_dec"])], "x_b_dec")
    product = graph.add("MatMul", [seen, graph.constant("W_enc", params["W_enc"])], "x_W_enc")
    a = graph.add("Add", [product, graph.constant("b_enc", params["b_enc"])], "a")
    zero = graph.constant("zero", np.zeros((), dtype))
    kind = config.sparsity
    if isinstance(kind, TopK) and not isinstance(kind, BatchTopK):
        k = graph.constant("k", np.array([kind.k]))
        graph.nodes.append(
            graph.onnx.helper.make_node("TopK", [a, k], ["largest", "places"], axis=1, sorted=1)
        )
        kept = graph.add(FUNCTIONS[config.activation], ["largest"], "kept")
        shape = graph.add("Shape", [a], "shape")
        none = graph.add("Expand", [zero, shape], "zeros")
        graph.add("ScatterElements", [none, "places", kept], "z", axis=1)
        return
    if isinstance(kind, BatchTopK | JumpReLU):
        learned = params["threshold"] if isinstance(kind, BatchTopK) else params["log_threshold"]
        theta = learned if isinstance(kind, BatchTopK) else np.exp(learned)
        above = graph.add("Greater", [a, graph.constant("theta", theta)], "above")
        graph.add("Where", [above, a, zero], "z")
    elif isinstance(kind, Gated):
        gate = graph.add("Greater", [a, zero], "gate")
        scaled = graph.add(
            "Mul", [product, graph.constant("scale", np.exp(params["r_mag"]))], "scaled"
        )
        size = graph.add("Add", [scaled, graph.constant("b_mag", params["b_mag"])], "magnitude")
        graph.add("Where", [gate, graph.add("Relu", [size], "size"), zero], "z")
    else:
        graph.add(FUNCTIONS[config.activation], [a], "z")


def run(path: Path, given: Array) -> dict[str, Array]:
    """What ONNX Runtime gives, on a processor."""
    runtime = needed("onnxruntime", "onnx")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} must be an ONNX file, got one that is not: {reason}") from None
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: given}), strict=True))


def RUNTIME(path: StrPath) -> str:
    """The name and version of the runtime."""
    return f"ONNX Runtime {needed('onnxruntime', 'onnx').__version__}"
