"""The fast player: a policy that was exported as a graph, run by onnxruntime; no torch.

Shapes: E games, F floats, I ids, A components (13).

A file of ``models.export`` enters; what ``models.policy.TorchPlayer`` does leaves, with the same actions for the same
uniforms. What can go wrong: onnxruntime is not installed, or the file is missing, no graph of exphil, or written by
another version; all of it is found when the player is made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.errors import PolicyError, extra
from exphil.features.action import Codec
from exphil.models.graph import ABOUT, FORMAT, INPUTS, NEXT, OUTPUTS, STATE, check_seal

Leaves = tuple[NDArray[Any], ...]
Values = tuple[Any, ...]


class Act(NamedTuple):
    """One decision: action int64, log_prob float32 and controller float32 (13 floats as decoded), ``(E, 13)`` each."""

    action: NDArray[np.int64]
    log_prob: NDArray[np.float32]
    controller: NDArray[np.float32]


class State:
    """A backbone's state in memory that the graph writes to; goes back to where it was taken from when it is let go.

    Attributes:
        leaves: Batch first; to be read only.
        values: The same memory as the graph's runtime knows it.
    """

    __slots__ = ("_home", "leaves", "values")

    def __init__(self, leaves: Leaves, values: Values, home: list[tuple[Leaves, Values]]) -> None:
        self.leaves, self.values, self._home = leaves, values, home

    def __del__(self) -> None:
        self._home.append((self.leaves, self.values))


class FastPlayer:
    """An exported policy as the agent needs it. One thread at a time may ask it.

    Args:
        path: What ``models.export.export`` wrote.
        threads: Of one decision; more than one pays for many games at once only.

    Attributes:
        fingerprint: Of the feature table that the policy was trained with.
        codec: What the classes of its actions stand for.
        config: What the writer of the file handed over.

    Raises:
        ExphilError: onnxruntime is not installed.
        PolicyError: the file is missing, no graph of exphil, or of another version.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._runtime = extra("onnxruntime", "export", "the fast player")
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a player sleeps between frames
        self._session, words = _opened(self._runtime, path, options)
        self.fingerprint: str = words["fingerprint"]
        self.codec = Codec.from_dict(words["actions"])
        self.config: dict[str, Any] = words["config"]
        self._fresh: dict[str, Any] = words["fresh"]
        self._desks: dict[int, _Desk] = {}

    def _desk(self, batch: int) -> _Desk:
        desk = self._desks.get(batch)
        if desk is None:
            desk = self._desks[batch] = _Desk(self._runtime, self._session, batch, self._fresh)
        return desk

    def initial_state(self, batch: int) -> State:
        """The state before the first frame of ``batch`` games."""
        desk = self._desk(batch)
        return desk.restarted(desk.state(), np.ones(batch, np.bool_))

    def act(
        self,
        floats: NDArray[np.float32],
        ids: NDArray[np.int64],
        state: State,
        is_first: NDArray[np.bool_],
        uniform: NDArray[np.float32],
        sharpness: NDArray[np.float32] | None = None,
    ) -> tuple[Act, State]:
        """Decide for E games; the state that is given stays as it is.

        Args:
            floats: ``(E, F)``.
            ids: ``(E, I)``.
            state: What the call before returned.
            is_first: ``(E,)``: a game begins with this frame.
            uniform: ``(E, 13)`` in [0, 1).
            sharpness: ``(13,)``, above 0: what log-odds are multiplied by before drawing; None draws as learned.

        Raises:
            ValueError: floats, ids or uniform of another shape, or an id below 0.
        """
        desk = self._desk(len(floats))
        shapes = floats.shape, ids.shape, uniform.shape
        if shapes != desk.shapes:  # copying would repeat what is too small
            raise ValueError(f"floats, ids and uniform have the shapes {shapes}; wanted are {desk.shapes}")
        if np.count_nonzero(is_first):
            state = desk.restarted(state, is_first)
        np.copyto(desk.floats, floats)
        np.copyto(desk.ids, ids)
        if np.count_nonzero(desk.upper):  # the graph would count from the end
            raise ValueError(f"ids are from {ids.min()} to {ids.max()}; the least is 0")
        np.copyto(desk.uniform, uniform)
        desk.sharpness[:] = 1 if sharpness is None else sharpness
        after = state
        if state.leaves:
            after = desk.state()
            desk.bind(state, after)
        self._session.run_with_iobinding(desk.binding)
        return Act(desk.action.copy(), desk.log_prob.copy(), desk.controller.copy()), after

    def take(self, state: State, rows: NDArray[np.int64]) -> State:
        """The state of some rows, a copy."""
        part = self._desk(len(rows)).state()
        for leaf, new in zip(state.leaves, part.leaves, strict=True):
            np.take(leaf, rows, 0, new)
        return part

    def put(self, state: State, rows: NDArray[np.int64], part: State) -> None:
        """Write the state of some rows into a state that ``initial_state`` made."""
        for leaf, new in zip(state.leaves, part.leaves, strict=True):
            leaf[rows] = new


class _Desk:
    """The memory that decisions for E games are made in, known to the runtime once and for all.

    Handing over arrays anew with each call takes longer than a small policy takes to decide.
    """

    def __init__(self, runtime: Any, session: Any, batch: int, fresh: dict[str, Any]) -> None:
        self.binding = session.io_binding()
        self._value = runtime.OrtValue.ortvalue_from_numpy
        self._free: list[tuple[Leaves, Values]] = []
        given, made = session.get_inputs(), session.get_outputs()
        arrays = {leaf.name: _zeros(leaf, batch) for leaf in (*given, *made)}
        self._from = [leaf.name for leaf in given if leaf.name.startswith(STATE)]
        self._to = [leaf.name for leaf in made if leaf.name.startswith(NEXT)]
        for leaf in given:
            if leaf.name not in self._from:
                self.binding.bind_ortvalue_input(leaf.name, self._value(arrays[leaf.name]))
        for leaf in made:
            if leaf.name not in self._to:
                self.binding.bind_ortvalue_output(leaf.name, self._value(arrays[leaf.name]))
        self.floats, self.ids, self.uniform, self.sharpness = (arrays[name] for name in INPUTS)
        self.action, self.log_prob, self.controller = (arrays[name] for name in OUTPUTS)
        self.shapes = self.floats.shape, self.ids.shape, self.uniform.shape
        self.upper = self.ids.view("<i4")[:, 1::2]
        """The upper halves of the ids: 0 unless one is below 0. Counting them takes a quarter of comparing's time."""
        self._begin = [arrays[name] for name in self._from]
        for name, array in zip(self._from, self._begin, strict=True):
            array[...] = fresh.get(name, 0)

    def state(self) -> State:
        """Memory for a state; what is in it is to be written over."""
        if self._free:
            return State(*self._free.pop(), self._free)
        leaves = tuple(np.empty_like(leaf) for leaf in self._begin)
        return State(leaves, tuple(self._value(leaf) for leaf in leaves), self._free)

    def restarted(self, state: State, is_first: NDArray[np.bool_]) -> State:
        """A copy in which some rows are those of a game's start."""
        after = self.state()
        for old, begin, new in zip(state.leaves, self._begin, after.leaves, strict=True):
            np.copyto(new, old)
            new[is_first] = begin[is_first]
        return after

    def bind(self, before: State, after: State) -> None:
        """Read one state and write the other."""
        for name, value in zip(self._from, before.values, strict=True):
            self.binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._to, after.values, strict=True):
            self.binding.bind_ortvalue_output(name, value)


_WORDS = {"fingerprint": str, "actions": dict, "config": dict, "fresh": dict}


def _opened(runtime: Any, path: Path, options: Any) -> tuple[Any, dict[str, Any]]:
    """The session and what its writer said."""
    where, fix = str(path), "an exported policy is what exphil export onnx writes"
    try:
        graph = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot be read ({error.strerror})", where, fix) from None
    try:
        check_seal(graph)
        session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        words = json.loads(session.get_modelmeta().custom_metadata_map[ABOUT])
        written = words["format"]
        if written == FORMAT and not all(isinstance(words[name], kind) for name, kind in _WORDS.items()):
            raise TypeError("words of another kind")
    except Exception as error:  # a damaged file can raise anything here
        raise PolicyError("not a policy exported by exphil, or damaged", where, fix) from error
    if written != FORMAT:
        what = f"written in format {written}; this exphil reads format {FORMAT}"
        raise PolicyError(what, where, "export the policy anew with this exphil")
    return session, words


_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


def _zeros(leaf: Any, batch: int) -> NDArray[Any]:
    """Memory for an input or output of the graph; the one size that it leaves open is the batch."""
    return np.zeros([size if isinstance(size, int) else batch for size in leaf.shape], _DTYPES[leaf.type])
