"""8-bit weights: how much smaller, how fast, and how close to torch, beside two ways of onnxruntime's own.

For each backbone (hidden 256, two layers) a policy is trained for a moment, so that its weights are learned ones, and
written as a graph in float32. Then the same graph is written

- by ``models.quantize``: weights rounded by row or column, products in float32;
- as ``dynamic``: onnxruntime's ``quantize_dynamic`` by column, which also rounds what enters each product, as it comes;
- as ``nbits``: its ``MatMulNBits`` with 8 bits in blocks of 128, products in float32; and ``nbits_fast`` with
  accuracy level 4, which rounds what enters.

onnxruntime's own ways know no Gemm, so each Gemm is written as a product and a sum for them; the tables that
have to be exact are left out for all, as are the products of a GRU, which both do not know.

Decisions are the likeliest ones over frames of a real game that was not learned from, one after the other, each player
carrying its own state: against torch for what differs, and against the float32 graph, taking turns, for the time.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

import report
import training
from exphil.evaluate.agreement import compare
from exphil.models.export import export
from exphil.models.graph import sealed
from exphil.models.policy import TorchPlayer
from exphil.models.quantize import LEAST, quantize
from exphil.play.fast import FastPlayer

BACKBONES = ("gru", "lstm", "mamba", "mlp")
GAMES = 6


def products(model: Any) -> list[str]:
    """Write each Gemm as a product and a sum; the names of the products that are worth it."""
    graph, arrays, found = model.graph, {each.name: each for each in model.graph.initializer}, []
    for node in [each for each in graph.node if each.op_type in ("Gemm", "MatMul")]:
        weight = arrays.get(node.input[1])
        fixed = weight is None or (weight.name.startswith("answer.") and "head" not in weight.name)
        if fixed or np.prod(weight.dims) < LEAST:
            continue
        node.name = node.name or f"product_{node.output[0]}"
        found.append(node.name)
        if node.op_type == "MatMul":
            continue
        given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if given.get("transB"):
            weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).T.copy(), weight.name))
        place = list(graph.node).index(node)
        product = helper.make_node("MatMul", list(node.input[:2]), [f"{node.output[0]}.product"], name=node.name)
        added = helper.make_node("Add", [product.output[0], node.input[2]], list(node.output))
        graph.node.remove(node)
        graph.node.insert(place, added)
        graph.node.insert(place, product)
    del graph.value_info[:]  # it tells of the weights as they were
    return found


def dynamic(model: Any, names: list[str], path: Path) -> Any:
    kinds = ["MatMul", "LSTM"]
    names = [*names, *(node.name for node in model.graph.node if node.op_type == "LSTM")]
    quantize_dynamic(model, path, kinds, per_channel=True, nodes_to_quantize=names, weight_type=QuantType.QInt8)
    return onnx.load(path)


def nbits(level: int) -> Callable[[Any, list[str], Path], Any]:
    def write(model: Any, names: list[str], path: Path) -> Any:
        others = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.name not in names]
        work = MatMulNBitsQuantizer(
            model, bits=8, block_size=128, is_symmetric=True, accuracy_level=level, nodes_to_exclude=others
        )
        work.process()
        return work.model.model

    return write


RIVALS = {"dynamic": dynamic, "nbits": nbits(0), "nbits_fast": nbits(4)}


def rival(source: Path, path: Path, write: Callable[[Any, list[str], Path], Any]) -> None:
    """A graph as one of onnxruntime's own ways makes it, of numbers that were put together in advance."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath, options.log_severity_level = str(path), 3
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    made = write(model, products(model), path)
    del made.metadata_props[:]
    made.metadata_props.extend(entry for entry in onnx.load(source).metadata_props if entry.key == "exphil")
    path.write_bytes(sealed(made.SerializeToString()))


def measure(name: str, root: Path, updates: int, frames: int, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way's figures for one backbone."""
    flags = training.RECIPE | {"backbone": name, "hidden": "256", "num_layers": 2, "num_player_names": 112}
    options = training.settings(root, flags | {"allow_missing": True})
    games = training.games(options, training.full_games(root)[: GAMES + 1])
    held, *learned = sorted({entry.game for entry in games.entries})
    policy = training.train(options, games.part(set(learned)), games.part({held}), 1, updates, updates).policy.eval()
    floats, ids = policy.table.encode(games.part({held}).game(0)[:frames])
    paths = {way: folder / f"{name}_{way}.onnx" for way in ("float32", "exphil", *RIVALS)}
    export(policy, paths["float32"], {})
    quantize(paths["float32"], paths["exphil"])
    for way, write in RIVALS.items():
        rival(paths["float32"], paths[way], write)
    whole, reference = paths["float32"].stat().st_size, TorchPlayer(policy, training.CPU)
    for way, path in paths.items():
        apart = compare(reference, FastPlayer(path), floats, ids)
        turns = compare(FastPlayer(paths["float32"]), FastPlayer(path), floats, ids)
        yield (
            way,
            {
                "bytes": path.stat().st_size,
                "size": round(path.stat().st_size / whole, 3),
                "log_prob": float(f"{apart.log_prob:.2e}"),
                "actions": round(apart.actions, 4),
                "components": round(apart.components, 5),
                "us": round(1000 * turns.other_ms, 1),
                "time": round(turns.other_ms / turns.reference_ms, 3),
                "torch_us": round(1000 * apart.reference_ms, 1),
            },
        )


def main() -> None:
    args = report.arguments(__doc__, replays="../shared/replays", frames=2000, updates=60, only=",".join(BACKBONES))
    logging.disable(logging.WARNING)  # onnxruntime's advice about its own ways
    root, found = Path(args.replays), {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            found[name] = dict(measure(name, root, args.updates, args.frames, Path(folder)))
    keys = ("bytes", "size", "log_prob", "actions", "components", "us", "time", "torch_us")
    table = [
        [name, way, *(f"{each[key]:.2g}" if key == "log_prob" else each[key] for key in keys)]
        for name, ways in found.items()
        for way, each in ways.items()
    ]
    columns = ["backbone", "weights", *keys]
    report.show(args, {"frames": args.frames, "backbones": found}, "One decision, batch 1, one thread", columns, table)


if __name__ == "__main__":
    main()
