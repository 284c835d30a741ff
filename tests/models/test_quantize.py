"""8-bit weights: what is rounded and how far, what stays, and that a file with them is one like any other."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from exphil import assemble
from exphil.config.layers import resolve
from exphil.errors import ExphilError, OutputError, PolicyError
from exphil.evaluate.agreement import compare, made_up
from exphil.features.action import Codec
from exphil.models.export import export
from exphil.models.graph import ABOUT, check_seal, sealed
from exphil.models.quantize import LEAST, MOST, _rounded, quantize
from exphil.play.fast import FastPlayer

WORDS = {"learned": {"name": "Ä"}}
INT8 = onnx.TensorProto.INT8
SIZE = 72
ROUNDED = {"embed.weight", "embed.rows.0", "val_1", "backbone.cell.weight_ih", "answer.head.layer.0.weight"}
KEPT = {"backbone.decay", "backbone.small", "answer.below.0", "backbone.both", "backbone.bias"}

BACKBONES = [
    pytest.param(name, marks=pytest.mark.slow if name in ("lstm", "jamba") else pytest.mark.nightly)
    for name in assemble.BACKBONES
]


def written(name: str, path) -> None:
    """An exported policy, whose every number is somewhere else than where it starts."""
    torch.manual_seed(1)
    flags = {"--backbone": name, "--hidden": ",".join(["72"] * 3), "--axis-buckets": "80"}
    model = assemble.policy(resolve("train", {"--temporal": True, **flags}, {}), Codec.uniform(80)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    export(model, path, WORDS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A graph with a weight of every kind, named as those of a policy are, and the same with 8-bit weights."""
    random, node = np.random.default_rng(0), onnx.helper.make_node
    shapes = dict.fromkeys([*ROUNDED, *KEPT], (SIZE, SIZE)) | {"backbone.small": (SIZE, 8), "backbone.bias": (1, SIZE)}
    weights = {name: random.standard_normal(shape).astype(np.float32) for name, shape in sorted(shapes.items())}
    places = {name: np.array([place]) for name, place in {"zero": 0, "half": SIZE // 2, "end": SIZE}.items()}
    nodes = [
        node("Gather", ["embed.rows.0", "ids"], ["rows"]),
        node("Gemm", ["x", "embed.weight", "rows"], ["y0"]),
        node("MatMul", ["y0", "val_1"], ["y1"]),
        node("Slice", ["backbone.cell.weight_ih", "zero", "half", "zero"], ["above"]),
        node("Slice", ["backbone.cell.weight_ih", "half", "end", "zero"], ["below"]),
        node("Concat", ["below", "above"], ["turned"], axis=0),
        node("Gemm", ["y1", "turned", "backbone.bias"], ["y2"], transB=1),
        node("Mul", ["y2", "backbone.decay"], ["y3"]),
        node("Gemm", ["y3", "answer.below.0"], ["y4"]),
        node("Gemm", ["y4", "answer.head.layer.0.weight"], ["y5"], transB=1),
        node("MatMul", ["y5", "backbone.both"], ["y6"]),
        node("Add", ["y6", "backbone.both"], ["y7"]),
        node("MatMul", ["y7", "backbone.small"], ["y"]),
    ]
    info, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        nodes,
        "main",
        [info("x", kinds.FLOAT, [SIZE, SIZE]), info("ids", kinds.INT64, [SIZE])],
        [info("y", kinds.FLOAT, [SIZE, 8])],
        [onnx.numpy_helper.from_array(array, name) for name, array in (weights | places).items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.helper.set_model_props(model, {ABOUT: "the words"})
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "float32.onnx").write_bytes(sealed(model.SerializeToString()))
    quantize(folder / "float32.onnx", folder / "int8.onnx")
    return folder / "float32.onnx", folder / "int8.onnx"


def whole_numbers(graph) -> set[str]:
    return {found.name.removesuffix(".int8") for found in graph.initializer if found.data_type == INT8}


def test_weights_of_products_are_rounded_and_all_others_stay(files):
    before, after = (onnx.load(path) for path in files)
    assert whole_numbers(after.graph) == ROUNDED
    stay = [{found.name: found for found in model.graph.initializer} for model in (before, after)]
    assert all(stay[0][name] == stay[1][name] for name in KEPT)
    assert list(before.graph.input) == list(after.graph.input) and list(before.graph.output) == list(after.graph.output)
    check_seal(files[1].read_bytes())
    session = onnxruntime.InferenceSession(files[1], providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map[ABOUT] == "the words"


def test_what_leaves_is_off_by_two_hundredths_at_most(files):
    random = np.random.default_rng(1)
    given = {"x": random.standard_normal((SIZE, SIZE)).astype(np.float32), "ids": random.integers(0, SIZE, SIZE)}
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in files]
    right, found = (session.run(None, given)[0] for session in sessions)
    assert 0 < np.sqrt(np.square(found - right).mean() / np.square(right).mean()) < 0.02


@pytest.mark.parametrize("name", BACKBONES)
def test_a_policy_of_any_backbone_is_most_of_it_smaller_and_decides_nearly_the_same(name, tmp_path):
    float32, int8 = tmp_path / "a.onnx", tmp_path / "b.onnx"
    written(name, float32)
    quantize(float32, int8)
    before, after = FastPlayer(float32), FastPlayer(int8)
    assert (after.fingerprint, after.codec, after.config) == (before.fingerprint, before.codec, before.config)
    graphs = [onnx.load(path).graph for path in (float32, int8)]
    large = {found.name: np.prod(found.dims) for found in graphs[0].initializer if np.prod(found.dims) >= LEAST}
    rounded = whole_numbers(graphs[1])
    assert not any(name.startswith("answer.") and "head" not in name for name in rounded)
    learned = sum(size for name, size in large.items() if not name.startswith("answer.") or "head" in name)
    assert sum(large[name] for name in rounded) > 0.9 * learned
    found = compare(before, after, *made_up(assemble.table(resolve("train", {}, {})), 100, 0))
    assert found.components > 0.98 and 0 < found.log_prob < 0.2


def test_once_opened_nothing_is_8_bit_any_more(files, tmp_path):
    """So a decision takes as long as without."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    onnxruntime.InferenceSession(files[1], options, providers=["CPUExecutionProvider"])
    opened, before = onnx.load(tmp_path / "opened.onnx").graph, onnx.load(files[1]).graph
    assert whole_numbers(before) and not whole_numbers(opened)


def test_every_number_is_off_by_at_most_half_a_step_of_its_row_or_column():
    random = np.random.default_rng(0)
    for spread in ((300, 1), (1, 200)):  # rows, then columns, of very different size
        weight = (random.standard_normal((300, 200)) * np.exp(3 * random.standard_normal(spread))).astype(np.float32)
        weight[7], weight[:, 3] = 0, 0
        whole, scale = _rounded(weight)
        assert whole.dtype == np.int8 and scale.dtype == np.float32 and scale.shape == spread
        assert np.abs(whole.astype(int)).max() == MOST
        assert (np.abs(whole * scale - weight) <= scale / 2 * 1.001).all()
        assert not (whole * scale)[weight == 0].any()


def test_done_twice_it_changes_nothing_more(files, tmp_path):
    quantize(files[1], tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == files[1].read_bytes()


def test_a_file_may_be_written_in_its_own_place(files, tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(files[0].read_bytes())
    quantize(path, path)
    assert path.read_bytes() == files[1].read_bytes() and list(tmp_path.iterdir()) == [path]


def test_damaged_and_missing_files_are_refused_and_nothing_is_written(files, tmp_path):
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(PolicyError, match="not a policy exported by exphil, or damaged"):
        quantize(tmp_path / "x.onnx", tmp_path / "y.onnx")
    with pytest.raises(PolicyError, match="cannot be read"):
        quantize(tmp_path / "none.onnx", tmp_path / "y.onnx")
    with pytest.raises(OutputError):
        quantize(files[0], tmp_path / "x.onnx" / "y.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_without_the_extra_the_error_names_the_line_that_installs_it(files, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExphilError, match=r"needs onnx(.|\n)*pip install \"exphil\[export\]\""):
        quantize(files[0], tmp_path / "y.onnx")
