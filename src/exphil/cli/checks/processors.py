"""Cores and GPUs: how many threads pay, and which cards there are.

What enters: numbers that others counted, and what NVIDIA's driver says. What leaves: findings. An answer of the driver
that takes longer than ten seconds is an error of the check.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from exphil.cli.checks.finding import OK, PROBLEM, WARNING, Finding
from exphil.cli.shown.drawing import many, shown_bytes

LITTLE_GPU_MEMORY = 1_000_000_000
"""Bytes free: with less, even a small training may find no room."""


def judge_threads(asked: int | None, cores: int, variable: str | None) -> Finding:
    """Threads against the physical cores that this process may use.

    More threads than cores wait for each other: a small training was measured to take 80 times as long.

    Args:
        asked: As ``--threads`` says; None for one a core.
        cores: Physical cores, within what a container is given.
        variable: What OMP_NUM_THREADS says, which other libraries than torch begin with; None when it is not set.
    """
    threads = asked or cores
    words = f"torch computes with {many(threads, 'thread')} on {many(cores, 'core')}"
    if threads > cores:
        return Finding("threads", WARNING, f"{words}: they wait for each other", f"leave --threads out, or set {cores}")
    first = re.match(r"\s*(\d+)", variable or "")
    if first and int(first.group(1)) > cores:
        what = f"OMP_NUM_THREADS={variable} on {many(cores, 'core')}: what exphil does not set itself gets far slower"
        return Finding("threads", WARNING, what, f"unset OMP_NUM_THREADS, or:\nexport OMP_NUM_THREADS={cores}")
    return Finding("threads", OK, words)


def judge_gpu(name: str, memory: tuple[int, int] | None, asked: str, there: bool) -> Finding:
    """The GPU that networks run on.

    Args:
        name: Of it; empty when networks run on the processor.
        memory: Bytes free and bytes there are; None for one that shares the main memory.
        asked: As ``--device`` says.
        there: Whether this machine and this torch have what was asked for.
    """
    if not there:
        return Finding(
            "GPU", PROBLEM, f"--device {asked} cannot be had with this torch", "--device auto takes what is there"
        )
    if not name:
        why = " (--device cpu)" if asked == "cpu" else ""
        return Finding(
            "GPU", OK, f"none{why}: networks run on the processor, where small ones train well, large ones slowly"
        )
    if memory is None:
        return Finding("GPU", OK, f"{name}, which shares the main memory")
    words = f"{name}, {shown_bytes(memory[0])} free of {shown_bytes(memory[1])}"
    if memory[0] < LITTLE_GPU_MEMORY:
        return Finding("GPU", WARNING, words, "end what else uses it (nvidia-smi lists it), or take --device cpu")
    return Finding("GPU", OK, words)


def nvidia(cards: Path = Path("/proc/driver/nvidia/gpus")) -> tuple[str, ...]:
    """Names of NVIDIA's GPUs, as their driver says.

    Args:
        cards: Where Linux lists them; elsewhere the driver's own program is asked.
    """
    lines = [line for page in sorted(cards.glob("*/information")) for line in page.read_text().splitlines()]
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    program = None if names else shutil.which("nvidia-smi")
    if program:
        asked = [program, "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
        names = answer.stdout.splitlines() if answer.returncode == 0 else []
    return tuple(name for name in names if name)
