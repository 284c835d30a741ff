"""The compiled passes of ``scan.py``: what ``conv_reference`` and ``scan_reference`` say, forward and adjoint.

Shapes: B batch, T time, E inner width, N ssm state, C conv taps, P = C - 1 frames before, G tiles of channels, L lanes
(channels of a tile).

All floats are float32. The scan works on ``LANES`` channels at a time, so that their states stay near the processor and
every inner loop has a length known when it is compiled: LLVM then makes vector instructions of it. What belongs to a
channel comes and leaves in tiles, the last one padded with zeros. ``x`` and ``z`` may be halves of a wider array: they
come flat, with the distance of two frames in them.

Each call does the rows ``first`` to ``stop`` of a batch and writes nothing outside of them; sums over the batch are
left to the caller. So calls on several threads do not meet, and results do not depend on how rows are shared out.

An inner loop reads and writes three scratch rows at most, each of many parts at fixed distances. LLVM checks before a
loop that different arrays do not overlap, and leaves the loop scalar where that takes more than eight checks. Loops
with a short body stay scalar too (they are unrolled before they could become vectors), hence few long ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exphil.compiled import compiled

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
f4, i4 = np.float32, np.int32

LANES = 64
"""Channels of a tile: four vectors of 512 bits. The passes over the states took 15 ms with 64 (bench/scan.py's sizes),
20 with 32 and 29 with 16; 128 gained nothing and take twice the scratch."""
FRAME_PARTS, STATE_PARTS, CHANNEL_PARTS = 10, 3, 4
DT, U, Z, STEP, ENTERS, Y, GY, GENTERS, GSTEP, GOUT = (part * LANES for part in range(FRAME_PARTS))
"""Scratch of a frame: what was given, the step, what enters the states, what is read of them, and their gradients."""
GU, GDT, GZ = U, DT, Z
"""Written where what was given is needed no more."""
H, A, GA = (part * LANES for part in range(STATE_PARTS))
"""Scratch of a state: itself (on the way back its gradient), its decay and the decay's gradient."""
BIAS, D, GBIAS, GD = (part * LANES for part in range(CHANNEL_PARTS))
"""Scratch of the channels themselves."""

_MATH = {"reassoc", "contract", "nsz", "arcp"}
LOG2_E, LN_2 = f4(np.log2(np.e)), f4(np.log(2))
_LEAST = f4(-100)  # 2^-100 is nothing beside 1, and far from the slow denormal numbers
_ZERO, _HALF, _ONE, _TWO, _EXPONENT_BIAS, _EXPONENT_AT = f4(0), f4(0.5), f4(1), f4(2), i4(127), i4(23)
# 2^f = 1 + f q(f) for |f| <= 1/2, q fitted for the least relative error of the whole: 2e-9
_Q0, _Q1, _Q2 = f4(0.6931472028550821), f4(0.2402264791362646), f4(0.05550332471100321)
_Q3, _Q4, _Q5 = f4(0.009618437357831602), f4(0.0013398874422177742), f4(0.0001535336188471549)
# log(1 + w) = 2 atanh(r) for r = w / (2 + w) <= 1/3: the first terms of r + r^3 / 3 + r^5 / 5 + ...
_R3, _R5, _R7, _R9, _R11, _R13 = (f4(1 / n) for n in (3, 5, 7, 9, 11, 13))


class ScanInputs(NamedTuple):
    """What ``exphil.models.scan.scan`` was given."""

    u: Floats  # (B, T, E)
    dt: Floats  # (B, T, E)
    z: Floats  # flat
    z_apart: int
    bias: Floats  # (G, L)
    a: Floats  # (G, N, L), times LOG2_E
    b: Floats  # (B, T, N)
    c: Floats  # (B, T, N)
    d: Floats  # (G, L)
    h: Floats  # (B, E, N)
    is_first: Flags  # (B, T)


class ScanGradients(NamedTuple):
    """The gradients of the same; nothing is read of what stands there before."""

    u: Floats  # (B, T, E)
    dt: Floats  # (B, T, E)
    z: Floats  # (B, T, E)
    bias: Floats  # (B, G, L)
    a: Floats  # (B, G, N, L)
    b: Floats  # (B, T, N)
    c: Floats  # (B, T, N)
    d: Floats  # (B, G, L)
    h: Floats  # (B, E, N)


class ConvInputs(NamedTuple):
    """What ``exphil.models.scan.conv`` was given."""

    x: Floats  # flat
    x_apart: int
    taps: Floats  # (C, E)
    bias: Floats  # (E,)
    before: Floats  # (B, P, E)
    is_first: Flags  # (B, T)


class ConvGradients(NamedTuple):
    """The gradients of the same; zeros before the call."""

    x: Floats  # (B, T, E)
    taps: Floats  # (B, C, E)
    bias: Floats  # (B, E)
    before: Floats  # (B, P, E)


@compiled(nogil=True, inline="always", fastmath=_MATH, error_model="numpy")
def power_of_two(x: Any) -> Any:
    """``2^x`` of a float32 that is 0 or less."""
    x = max(x, _LEAST)
    whole = i4(x - _HALF)  # rounds towards zero, hence to the nearest
    f = x - f4(whole)
    fraction = _ONE + f * (_Q0 + f * (_Q1 + f * (_Q2 + f * (_Q3 + f * (_Q4 + f * _Q5)))))
    return i4((whole + _EXPONENT_BIAS) << _EXPONENT_AT).view(f4) * fraction


@compiled(nogil=True, inline="always", fastmath=_MATH, error_model="numpy")
def softplus(x: Any) -> Any:
    """``log(1 + e^x)``."""
    w = power_of_two(-abs(x) * LOG2_E)
    r = w / (_TWO + w)
    s = r * r
    series = _ONE + s * (_R3 + s * (_R5 + s * (_R7 + s * (_R9 + s * (_R11 + s * _R13)))))
    return max(x, _ZERO) + _TWO * r * series


@compiled(nogil=True, inline="always", fastmath=_MATH, error_model="numpy")
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)``."""
    w = power_of_two(-abs(x) * LOG2_E)
    return (_ONE if x >= _ZERO else w) / (_ONE + w)


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _enter(given: ScanInputs, row: int, at: int, wide: int, t: int, frame: Floats) -> None:
    """A frame's numbers into the scratch."""
    z_at = (row * given.u.shape[1] + t) * given.z_apart + at
    u, dt, z = given.u[row, t, at : at + wide], given.dt[row, t, at : at + wide], given.z[z_at : z_at + wide]
    for j in range(wide):
        frame[j + U] = u[j]
        frame[j + DT] = dt[j]
        frame[j + Z] = z[j]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _begin(given: ScanInputs, row: int, tile: int, wide: int, states: Floats, channels: Floats) -> None:
    """A tile's states before the first frame and its constants into the scratch."""
    for j in range(LANES):
        channels[j + BIAS] = given.bias[tile, j]
        channels[j + D] = given.d[tile, j]
    for n in range(len(states)):
        for j in range(LANES):
            states[n, j + A] = given.a[tile, n, j]
        for j in range(wide):
            states[n, j + H] = given.h[row, tile * LANES + j, n]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def scan_forward(first: int, stop: int, given: ScanInputs, y_BTE: Floats, after_BEN: Floats) -> None:
    """See ``exphil.models.scan.scan``."""
    length, width = given.u.shape[1:]
    states, channels = np.zeros((given.a.shape[1], STATE_PARTS * LANES), f4), np.zeros(CHANNEL_PARTS * LANES, f4)
    frame = np.zeros(FRAME_PARTS * LANES, f4)
    for row in range(first, stop):
        for tile in range(len(given.a)):
            at = tile * LANES
            wide = min(LANES, width - at)
            _begin(given, row, tile, wide, states, channels)
            for t in range(length):
                if given.is_first[row, t]:
                    states[:, :LANES] = _ZERO
                _enter(given, row, at, wide, t, frame)
                for j in range(LANES):
                    step = softplus(frame[j + DT] + channels[j + BIAS])
                    frame[j + STEP] = step
                    frame[j + ENTERS] = step * frame[j + U]
                    frame[j + Y] = channels[j + D] * frame[j + U]
                for n in range(len(states)):
                    state, b, c = states[n], given.b[row, t, n], given.c[row, t, n]
                    for j in range(LANES):
                        h = power_of_two(frame[j + STEP] * state[j + A]) * state[j + H] + frame[j + ENTERS] * b
                        state[j + H] = h
                        frame[j + Y] += h * c
                y = y_BTE[row, t, at : at + wide]
                for j in range(wide):
                    y[j] = frame[j + Y] * frame[j + Z] * sigmoid(frame[j + Z])
            for n in range(len(states)):
                for j in range(wide):
                    after_BEN[row, at + j, n] = states[n, j + H]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _again(
    frames: Floats, states: Floats, kept: Floats, b_TN: Floats, c_TN: Floats, is_first_T: Flags, gc_TN: Floats
) -> None:
    """Run a tile again and keep, for the way back, each state's decay and what it left of the state."""
    for t in range(len(frames)):
        if is_first_T[t]:
            states[:, :LANES] = _ZERO
        frame = frames[t]
        for n in range(len(states)):
            state, keep, b, c, gc = states[n], kept[t, n], b_TN[t, n], c_TN[t, n], _ZERO
            for j in range(LANES):
                decay = power_of_two(frame[j + STEP] * state[j + A])
                left = decay * state[j + H]
                h = left + frame[j + ENTERS] * b
                keep[j] = decay
                keep[j + LANES] = left
                state[j + H] = h
                frame[j + Y] += h * c
                gc += h * frame[j + GY]
            gc_TN[t, n] += gc


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _back(
    frames: Floats, states: Floats, kept: Floats, b_TN: Floats, c_TN: Floats, is_first_T: Flags, gb_TN: Floats
) -> None:
    """The adjoint of ``_again``, from the last frame to the first."""
    for t in range(len(frames) - 1, -1, -1):
        frame = frames[t]
        for n in range(len(states)):
            state, keep, b, c, gb = states[n], kept[t, n], b_TN[t, n], c_TN[t, n], _ZERO
            for j in range(LANES):
                gh = state[j + H] + c * frame[j + GY]
                gexponent = gh * keep[j + LANES]
                gb += gh * frame[j + ENTERS]
                frame[j + GENTERS] += gh * b
                frame[j + GSTEP] += gexponent * state[j + A]
                state[j + GA] += gexponent * frame[j + STEP]
                state[j + H] = gh * keep[j]
            gb_TN[t, n] += gb
        if is_first_T[t]:
            states[:, :LANES] = _ZERO


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _open(frame: Floats, channels: Floats) -> None:
    """What the two passes over a frame's states read: the step and the gradient of what is read of the states."""
    for j in range(LANES):
        step = softplus(frame[j + DT] + channels[j + BIAS])
        frame[j + STEP] = step
        frame[j + ENTERS] = step * frame[j + U]
        frame[j + GY] = frame[j + GOUT] * frame[j + Z] * sigmoid(frame[j + Z])
        frame[j + Y] = channels[j + D] * frame[j + U]
        frame[j + GENTERS] = _ZERO
        frame[j + GSTEP] = _ZERO


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _close(frame: Floats, channels: Floats) -> None:
    """The gradients of what a frame was given, from those of its step and of what entered its states."""
    for j in range(LANES):
        open_gate = sigmoid(frame[j + Z])
        gz = frame[j + GOUT] * frame[j + Y] * open_gate * (_ONE + frame[j + Z] * (_ONE - open_gate))
        gstep = frame[j + GENTERS] * frame[j + U] + frame[j + GSTEP] * LN_2
        gdt = gstep * sigmoid(frame[j + DT] + channels[j + BIAS])
        channels[j + GD] += frame[j + GY] * frame[j + U]
        channels[j + GBIAS] += gdt
        frame[j + GU] = frame[j + GENTERS] * frame[j + STEP] + frame[j + GY] * channels[j + D]
        frame[j + GDT] = gdt
        frame[j + GZ] = gz


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def scan_backward(
    first: int, stop: int, given: ScanInputs, gy_BTE: Floats, gafter_BEN: Floats, found: ScanGradients
) -> None:
    """The adjoint of ``scan_forward``; of its run nothing is kept but a tile's, while that tile is worked on."""
    length, width = given.u.shape[1:]
    count = given.a.shape[1]
    states, channels = np.zeros((count, STATE_PARTS * LANES), f4), np.zeros(CHANNEL_PARTS * LANES, f4)
    frames, kept = np.zeros((length, FRAME_PARTS * LANES), f4), np.empty((length, count, 2 * LANES), f4)
    for row in range(first, stop):
        b, c, is_first = given.b[row], given.c[row], given.is_first[row]
        found.b[row], found.c[row] = _ZERO, _ZERO
        for tile in range(len(given.a)):
            at = tile * LANES
            wide = min(LANES, width - at)
            if wide < LANES:
                frames[:] = _ZERO  # the lanes beyond must add nothing to the sums of b and c
            states[:], channels[:] = _ZERO, _ZERO
            _begin(given, row, tile, wide, states, channels)
            for t in range(length):
                _enter(given, row, at, wide, t, frames[t])
                for j in range(wide):
                    frames[t, j + GOUT] = gy_BTE[row, t, at + j]
                _open(frames[t], channels)
            _again(frames, states, kept, b, c, is_first, found.c[row])
            for n in range(count):
                for j in range(wide):
                    states[n, j + H] = gafter_BEN[row, at + j, n]
            _back(frames, states, kept, b, c, is_first, found.b[row])
            for t in range(length):
                _close(frames[t], channels)
                _leave(frames[t], row, at, wide, t, found)
            for j in range(LANES):
                found.bias[row, tile, j] = channels[j + GBIAS]
                found.d[row, tile, j] = channels[j + GD]
            for n in range(count):
                for j in range(LANES):
                    found.a[row, tile, n, j] = states[n, j + GA]
                for j in range(wide):
                    found.h[row, at + j, n] = states[n, j + H]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _leave(frame: Floats, row: int, at: int, wide: int, t: int, found: ScanGradients) -> None:
    """A frame's gradients out of the scratch."""
    u, dt, z = (
        found.u[row, t, at : at + wide],
        found.dt[row, t, at : at + wide],
        found.z[row, t, at : at + wide],
    )
    for j in range(wide):
        u[j] = frame[j + GU]
        dt[j] = frame[j + GDT]
        z[j] = frame[j + GZ]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _source(given: ConvInputs, row: int, length: int, at: int) -> Floats:
    """Frame ``at`` of a row; negative ones are those before the first."""
    width = given.taps.shape[1]
    start = (row * length + at) * given.x_apart
    return given.x[start : start + width] if at >= 0 else given.before[row, given.before.shape[1] + at]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def _convolve(given: ConvInputs, row: int, t: int, oldest: int, total_E: Floats) -> None:
    """The convolution of one frame, before its SiLU."""
    length, past = given.is_first.shape[1], given.before.shape[1]
    total_E[:] = given.bias
    for tap in range(max(0, oldest - t + past), past + 1):
        source_E, tap_E = _source(given, row, length, t - past + tap), given.taps[tap]
        for e in range(len(total_E)):
            total_E[e] += tap_E[e] * source_E[e]


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def conv_forward(first: int, stop: int, given: ConvInputs, y_BTE: Floats) -> None:
    """See ``exphil.models.scan.conv``."""
    total = np.empty(given.taps.shape[1], f4)
    for row in range(first, stop):
        oldest = -given.before.shape[1]
        for t in range(y_BTE.shape[1]):
            oldest = t if given.is_first[row, t] else oldest
            _convolve(given, row, t, oldest, total)
            y = y_BTE[row, t]
            for e in range(len(total)):
                y[e] = total[e] * sigmoid(total[e])


@compiled(nogil=True, fastmath=_MATH, error_model="numpy")
def conv_backward(first: int, stop: int, given: ConvInputs, gy_BTE: Floats, found: ConvGradients) -> None:
    """The adjoint of ``conv_forward``."""
    length, past = given.is_first.shape[1], given.before.shape[1]
    total = np.empty(given.taps.shape[1], f4)
    for row in range(first, stop):
        oldest, gbias = -past, found.bias[row]
        for t in range(length):
            oldest = t if given.is_first[row, t] else oldest
            _convolve(given, row, t, oldest, total)
            gy = gy_BTE[row, t]
            for e in range(len(total)):
                slope = sigmoid(total[e])
                total[e] = gy[e] * slope * (_ONE + total[e] * (_ONE - slope))
                gbias[e] += total[e]
            for tap in range(max(0, oldest - t + past), past + 1):
                at = t - past + tap
                source, taps, gtaps = _source(given, row, length, at), given.taps[tap], found.taps[row, tap]
                gsource = found.x[row, at] if at >= 0 else found.before[row, past + at]
                for e in range(len(total)):
                    gsource[e] += total[e] * taps[e]
                    gtaps[e] += total[e] * source[e]
