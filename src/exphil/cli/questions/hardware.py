"""What this machine has that training can use: GPU, memory, cores.

What can go wrong: a device was asked for that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exphil.cli.shown.drawing import shown_bytes


class Hardware(NamedTuple):
    """What was found.

    Attributes:
        gpu: Name of the GPU that training would run on; empty when it would run on the processor.
        gpu_bytes: Its memory; None without one, and for one that shares the main memory.
        memory_bytes: Main memory that this process may use; None where nobody says.
        cores: Physical cores that this process may use.
        threads: That torch would compute with.
    """

    gpu: str
    gpu_bytes: int | None
    memory_bytes: int | None
    cores: int
    threads: int


def detect(device: str = "auto", threads: int | None = None) -> Hardware:
    """Look at this machine.

    Args:
        device: As ``--device`` says.
        threads: As ``--threads`` says; None for all cores.

    Raises:
        OptionError: the device is not there.
    """
    import torch

    from exphil.data.memory import total_bytes
    from exphil.train import runtime

    chosen, cores = runtime.device(device), runtime.cores()
    name, size = "", None
    if chosen.type == "cuda":
        properties = torch.cuda.get_device_properties(chosen)
        name, size = properties.name, int(properties.total_memory)
    elif chosen.type == "mps":
        name = "Apple"
    return Hardware(name, size, total_bytes(), cores, threads or cores)


def described(found: Hardware) -> Iterator[str]:
    """One line for each part."""
    size = "shares the main memory" if found.gpu_bytes is None else shown_bytes(found.gpu_bytes)
    yield f"GPU        {f'{found.gpu} ({size})' if found.gpu else 'no GPU'}"
    yield f"memory     {'unknown' if found.memory_bytes is None else shown_bytes(found.memory_bytes)}"
    yield f"cores      {found.cores}, torch computes with {found.threads} thread{'' if found.threads == 1 else 's'}"
