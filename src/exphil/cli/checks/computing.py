"""torch, its threads and the GPU: what networks are computed with.

torch is imported here, within the check: one that is missing or broken is a finding, and what needs it is not looked
at. What can go wrong: nothing that raises, but for a defect.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence

from exphil.cli.checks.finding import OK, PROBLEM, UNSEEN, WARNING, Asked, Finding
from exphil.cli.checks.processors import judge_gpu, judge_threads, nvidia
from exphil.cli.checks.requirements import allows, requirements
from exphil.errors import OptionError

INDEX = "https://download.pytorch.org/whl/"
WITH_GPU, OLD_DRIVER = "cu130", "cu126"
"""Builds of torch on that page: for NVIDIA's GPUs, and for those with a driver of before CUDA 13."""
_NEEDS_TORCH = "needs torch, which cannot be used"


def computing(asked: Asked) -> Iterator[Finding]:
    """Three findings: torch, threads, GPU."""
    allowed = next((each.allowed for each in requirements() if each.name == "torch"), "")
    try:
        import torch

        from exphil.train import runtime
    except Exception as error:  # a library that is missing below torch raises what it likes
        yield torch_missing(f"{type(error).__name__}: {error}", allowed)
        yield from (Finding(name, UNSEEN, _NEEDS_TORCH) for name in ("threads", "GPU"))
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    kind = (
        f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}" if torch.version.hip else ""
    )
    others = () if usable else nvidia()
    yield judge_torch(torch.__version__, allowed, kind, usable, others, str(told[0].message) if told else "")
    yield judge_threads(asked.threads, runtime.cores(), os.environ.get("OMP_NUM_THREADS"))
    try:
        device = runtime.device(asked.device)
    except OptionError:
        yield judge_gpu("", None, asked.device, there=False)
        return
    memory = torch.cuda.mem_get_info(device) if device.type == "cuda" else None
    name = torch.cuda.get_device_name(device) if memory else "Apple" if device.type == "mps" else ""
    yield judge_gpu(name, memory, asked.device, there=True)


def torch_missing(error: str, allowed: str) -> Finding:
    """Without it nothing is trained, and only exported policies play."""
    what = f"cannot be imported: {error.splitlines()[0]}"
    return Finding("torch", PROBLEM, what, f'install it anew:\npip install --force-reinstall "torch{allowed}"')


def judge_torch(version: str, allowed: str, kind: str, usable: bool, gpus: Sequence[str], told: str = "") -> Finding:
    """Its version, and whether its build fits the machine.

    Args:
        version: Of torch.
        allowed: Versions that exphil was made for.
        kind: "CUDA 13.0", "ROCm 6.4"; empty for the build for processors (and for Apple's GPUs).
        usable: Whether torch can use a GPU of that kind.
        gpus: NVIDIA's GPUs of this machine that torch cannot use.
        told: What torch said when it looked for one.
    """
    words = f"{version}, made for {kind or 'the processor'}"
    begin = f'pip install --force-reinstall "torch{allowed}" --index-url {INDEX}'
    if not allows(allowed, version):
        return Finding(
            "torch", WARNING, f"{words}; exphil was made for {allowed}", f'install that:\npip install "torch{allowed}"'
        )
    if kind and not usable and gpus:
        what = f"{words}, but cannot use the {gpus[0]}{f' ({told})' if told else ''}"
        old = f"renew NVIDIA's driver, or take a torch for older ones:\n{begin}{OLD_DRIVER}"
        return Finding("torch", WARNING, what, old)
    if kind and not usable:
        what = f"{words}, and there is no GPU: it works, and takes gigabytes of disk for nothing"
        return Finding("torch", WARNING, what, f"if no GPU will come, the small build:\n{begin}cpu")
    if not kind and gpus:
        what = f"{words}, so it cannot use the {gpus[0]} of this machine"
        return Finding(
            "torch", WARNING, what, f"the build for it (with an old driver {INDEX}{OLD_DRIVER}):\n{begin}{WITH_GPU}"
        )
    return Finding("torch", OK, words)
