"""An exported policy with the weights of its products as 8-bit numbers: about a third of the file, as fast.

A file of ``models.export`` enters; a file of the same inputs, outputs and metadata leaves, sealed again. Each row or
column of a weight (whichever loses less) becomes whole numbers from -127 to 127 and one float32 that they are
multiplied by. The graph says so with a cast and a product, which onnxruntime computes once, when it opens the file:
what is saved is the size of the file, not memory; and everything else of a decision is float32 as before, so that
decisions are as fast and nearly the same. Products of 8-bit numbers round what enters them too: two or three times as
far off, for little or no time saved, and onnxruntime has none for a GRU (measured in ``bench/int8.py``).

What stays as it is: small weights; biases, norms and the state's decay, which are no weights of products; and the
tables of ``answer`` beside the head's layers, whose numbers have to be exact. What can go wrong: onnx is not installed,
the file cannot be read or is no exported policy, a place that cannot be written to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exphil.errors import PolicyError, extra
from exphil.files import check_writable, write
from exphil.models.graph import ABOUT, check_seal, sealed

WHAT_FOR, OTHER_PLACE = "writing 8-bit weights", "free some space or choose another place"
LEAST = 4096
"""Numbers of a weight that is worth it; below, a graph grows by as much as the weight shrinks."""
MOST = 127
_PRODUCTS = {"Gemm": (1,), "MatMul": (1,), "GRU": (1, 2), "LSTM": (1, 2), "Gather": (0,)}
"""Where a product takes its weights; Gather looks up rows that are products made in advance."""
_MOVES = {"Concat", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
"""What only brings numbers to other places, so that rounding may stand before it."""
_EXACT, _BUT = "answer.", "answer.head."


def quantize(source: Path, path: Path) -> None:
    """Write an exported policy anew, with 8-bit weights; done twice it changes nothing more.

    Args:
        source: What ``models.export.export`` wrote.
        path: Where the new file goes; may be ``source``.

    Raises:
        ExphilError: onnx is not installed.
        PolicyError: ``source`` is missing, no exported policy, or damaged.
        OutputError: ``path`` cannot be written.
    """
    onnx = extra("onnx", "export", WHAT_FOR)
    check_writable(path, OTHER_PLACE)
    try:
        content = source.read_bytes()
        check_seal(content)
    except OSError as error:
        raise PolicyError(f"cannot be read ({error.strerror})", str(source)) from None
    except ValueError:
        fix = "an exported policy is what exphil export onnx writes"
        raise PolicyError("not a policy exported by exphil, or damaged", str(source), fix) from None
    model = onnx.ModelProto.FromString(content)
    about = [entry for entry in model.metadata_props if entry.key == ABOUT]
    del model.metadata_props[:]  # without the old check sum
    model.metadata_props.extend(about)
    _round(onnx, model.graph)
    write(path, lambda file: file.write(sealed(model.SerializeToString())), OTHER_PLACE)


def _round(onnx: Any, graph: Any) -> None:
    """Replace every weight that is worth it by whole numbers, their scale, and two operations."""
    readers = defaultdict(list)
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers[name].append((node, place))
    helper, numpy = onnx.helper, onnx.numpy_helper
    before = []
    for weight in [found for found in graph.initializer if _is_weight(onnx, found, readers)]:
        name = weight.name
        whole, scale = _rounded(numpy.to_array(weight))
        graph.initializer.remove(weight)
        graph.initializer.extend([numpy.from_array(whole, f"{name}.int8"), numpy.from_array(scale, f"{name}.scale")])
        before += [
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]),
        ]
    for node in reversed(before):
        graph.node.insert(0, node)


def _is_weight(onnx: Any, found: Any, readers: Mapping[str, Sequence[tuple[Any, int]]]) -> bool:
    """Whether products alone read it, and it is worth it."""
    if found.data_type != onnx.TensorProto.FLOAT or len(found.dims) != 2 or np.prod(found.dims) < LEAST:
        return False
    if found.name.startswith(_EXACT) and not found.name.startswith(_BUT):
        return False
    names, products = [found.name], 0
    while names:
        for node, place in readers[names.pop()]:
            if node.op_type in _MOVES:
                names += node.output
            elif place in _PRODUCTS.get(node.op_type, ()):
                products += 1
            else:
                return False
    return products > 0


def _rounded(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers of the same shape, and the scale of every row ``(rows, 1)`` or every column ``(1, columns)``."""
    found = []
    for axis in (1, 0):
        scale = np.abs(weight).max(axis, keepdims=True) / np.float32(MOST)
        scale[scale == 0] = 1  # of zeros
        whole = np.rint(weight / scale)
        found.append((float(np.square(whole * scale - weight).sum()), whole.astype(np.int8), scale))
    _, whole, scale = min(found, key=lambda each: each[0])
    return whole, scale
