"""Lets torchvision be imported where its compiled operators cannot be loaded.

PyPI's torchvision is compiled for PyPI's PyTorch, with CUDA. Beside a PyTorch for processors alone
its library does not load, and its import ends at the schemas of ``nms`` and ``qnms``, which that
library would have declared. Data sets and transforms need neither. Once this is imported, as it is
by every Python of .venv (see the Makefile), the two are declared when torchvision asks for them.
"""

import sys
from importlib.abc import MetaPathFinder

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class Declares(MetaPathFinder):
    """Finds nothing itself; it is asked before the module that wants the schemas is loaded."""

    library = None

    def find_spec(self, name, path, target=None):
        extension = sys.modules.get("torchvision.extension")
        if name == "torchvision._meta_registrations" and extension and not extension._has_ops():
            from torch.library import Library

            self.library = Library("torchvision", "DEF")  # for as long as it is kept
            for schema in SCHEMAS:
                self.library.define(schema)


sys.meta_path.insert(0, Declares())
