"""What Ctrl-C and SIGTERM do to a long piece of work, and around it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from exphil.cli.running.stop import Stop
from exphil.cli.terminal import Terminal
from exphil.errors import ExphilError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of before, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops_at_once(number, capsys):
    with pytest.raises(KeyboardInterrupt), Stop(Terminal(), "the work is kept") as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop() and stop.signal == number and "the work is kept" in capsys.readouterr().err
        os.kill(os.getpid(), number)


def test_a_signal_does_outside_what_it_always_does():
    before = signal.getsignal(signal.SIGTERM)
    with Stop(Terminal()):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_does_not_silence_the_error_that_ended_the_work(capsys):
    with pytest.raises(ExphilError, match="is gone"):
        try:
            with Stop(Terminal()):
                raise ExphilError("another process is gone", "here", "start again")
        finally:  # until it is told, the error has a way to go: the signal of torchrun comes in between
            os.kill(os.getpid(), signal.SIGTERM)
    assert capsys.readouterr().err == ""
