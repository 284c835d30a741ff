"""``exphil doctor``: a line for each thing that exphil stands on, its state, and what helps where it is not in order.

The exit code is 1 when something is a problem, else 0: warnings do not keep anything from working.
"""

from __future__ import annotations

from collections.abc import Iterator

from exphil.cli.checks.finding import PROBLEM, UNSEEN, WARNING, Asked, Finding
from exphil.cli.checks.order import look
from exphil.cli.shown.drawing import many
from exphil.cli.shown.folding import folded, harmless
from exphil.cli.terminal import Terminal
from exphil.config.layers import Settings

STATE, NAME, WIDTH = 14, 15, 80
"""Letters of the columns, and of a line: what is printed is as wide in a file as on a terminal."""


def run(settings: Settings) -> int:
    """Look, and print each finding as it comes."""
    terminal, findings = Terminal.of(settings), list[Finding]()
    for finding in look(asked(settings)):
        findings.append(finding)
        if not settings.output.json:
            terminal.lines(page(finding))
    if settings.output.json:
        terminal.data({"checks": [finding._asdict() for finding in findings]})
    else:
        terminal.lines(["", verdict(findings)])
    return int(any(finding.state == PROBLEM for finding in findings))


def asked(settings: Settings) -> Asked:
    """What to look at: replays and a policy only where somebody named them."""
    return Asked(
        settings.checkpointsdir.checkpoints_dir,
        settings.cachedir.cache_dir,
        settings.machine.device,
        settings.machine.threads,
        settings.data.replays if settings.given("replays") else None,
        settings.data.max_files,
        settings.examined.policy,
    )


def page(finding: Finding) -> Iterator[str]:
    """The lines of a finding; commands of a remedy stay whole."""
    begin, hang = f"{finding.state:<{STATE}}{finding.name:<{NAME}}", STATE + NAME
    for piece in _within(finding.found, hang):
        yield begin + piece
        begin = " " * hang
    remedy, *commands = finding.remedy.split("\n")
    lead = "-> "
    for piece in _within(remedy, STATE + len(lead)) if remedy else ():
        yield " " * STATE + lead + piece
        lead = " " * len(lead)
    yield from (" " * STATE + lead + command for command in commands)


def _within(text: str, indent: int) -> list[str]:
    return folded(harmless(text), WIDTH - indent, 0)


def verdict(findings: list[Finding]) -> str:
    """One sentence on all of them."""
    problems, warnings, unseen = (
        sum(finding.state == state for finding in findings) for state in (PROBLEM, WARNING, UNSEEN)
    )
    parts = [many(problems, "problem")] if problems else []
    parts += [many(warnings, "warning")] if warnings else []
    parts += [f"{unseen} not looked at"] if unseen else []
    told = f" ({', '.join(parts)})" if parts else ""
    return f"{'something will not work' if problems else 'everything looked at works'}{told}"
