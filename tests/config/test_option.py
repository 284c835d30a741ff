"""One converter for every source, checks, clashes and the nearest word."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exphil.config.groups import OPTIONS
from exphil.config.option import (
    above,
    at_least,
    between,
    distance,
    each,
    from_up_to,
    nearest,
    option,
    options_by_name,
    options_of,
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    title: ClassVar[str] = "Sample"
    whole: int = option(1, "a whole number")
    number: float = option(1.0, "a number", aliases=("--num",))
    switch: bool = option(True, "a switch", sets={"--never": False})
    text: str = option("a", "a text")
    path: Path = option(Path("a"), "a path")  # noqa: RUF009
    maybe: int | None = option(None, "a whole number or nothing", check=at_least(1))
    wholes: tuple[int, ...] = option((1,), "whole numbers", check=each(at_least(1)))
    texts: tuple[str, ...] = option((), "texts")
    word: str = option("red", "a word", choices=("red", "dark_green"))
    few: int = option(1, "a small number", choices=(1, 2))


SAMPLE = options_by_name([Sample])
WORDS = st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters=",~"), min_size=1).filter(str.strip)
VALUES = {
    "whole": st.integers(),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "switch": st.booleans(),
    "text": WORDS,
    "path": WORDS.map(Path),
    "maybe": st.none() | st.integers(min_value=1),
    "wholes": st.lists(st.integers(min_value=1), min_size=1).map(tuple),
    "texts": st.lists(WORDS.map(str.strip)).map(tuple),
    "word": st.sampled_from(("red", "dark_green")),
    "few": st.sampled_from((1, 2)),
}


@pytest.mark.parametrize("name", VALUES)
def test_text_and_literals_convert_back_to_the_value(name):
    @settings(deadline=None)
    @given(VALUES[name])
    def check(value):
        item = SAMPLE[name]
        assert item.convert(item.text(value)) == value
        assert item.convert(value if not isinstance(value, Path) else str(value)) == value
        plain = str(value) if isinstance(value, Path) else value
        assert item.convert(json.loads(json.dumps(plain))) == value

    check()


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("wholes", "512,512", (512, 512)),
        ("wholes", " 512 , 256 ", (512, 256)),
        ("wholes", 7, (7,)),
        ("wholes", [1, "2"], (1, 2)),
        ("texts", "fox,falco", ("fox", "falco")),
        ("texts", "", ()),
        ("switch", "Yes", True),
        ("switch", "off", False),
        ("maybe", "none", None),
        ("maybe", "~", None),
        ("number", "3e-4", 3e-4),
        ("number", 3, 3.0),
        ("word", "Dark-Green", "dark_green"),
        ("path", "~/melee", Path.home() / "melee"),
    ],
)
def test_spellings_of_a_value(name, raw, value):
    assert SAMPLE[name].convert(raw) == value


@pytest.mark.parametrize(
    ("name", "raw", "sentence"),
    [
        ("whole", "x", "'x' is not a whole number"),
        ("whole", "1.0", "'1.0' is not a whole number"),
        ("whole", True, "'true' is a yes or no, not a whole number"),
        ("whole", None, "a value is needed here"),
        ("whole", "none", "'none' is not a whole number"),
        ("whole", [1], "'1' is not a single value"),
        ("whole", {"a": 1}, "'{'a': 1}' is not a single value"),
        ("number", "fast", "'fast' is not a number"),
        ("number", "nan", "'nan' is not a finite number"),
        ("number", "inf", "'inf' is not a finite number"),
        ("switch", "maybe", "'maybe' is not yes or no"),
        ("text", "", "an empty text is no value"),
        ("path", " ", "an empty text is no value"),
        ("maybe", "0", "'0' must be at least 1"),
        ("wholes", "", "'' must be one number or more, and every one must be at least 1"),
        ("wholes", "3,0", "'3,0' must be one number or more, and every one must be at least 1"),
        ("wholes", "3,,3", "'' is not a whole number"),
        ("word", "rad", "'rad' is not one of red, dark_green; did you mean 'red'?"),
        ("word", "xyzzy", "'xyzzy' is not one of red, dark_green"),
        ("few", "3", "'3' is not one of 1, 2"),
    ],
)
def test_sentence_of_a_wrong_value(name, raw, sentence):
    with pytest.raises(ValueError) as caught:
        SAMPLE[name].convert(raw)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("check", "good", "bad", "sentence"),
    [
        (at_least(1), 1, 0, "must be at least 1"),
        (above(0), 1e-9, 0, "must be above 0"),
        (between(0, 1), 1, 1.01, "must be between 0 and 1"),
        (from_up_to(0, 1), 0, 1, "must be at least 0 and below 1"),
    ],
)
def test_checks(check, good, bad, sentence):
    assert check.holds(good) and not check.holds(bad) and check.sentence == sentence


def test_spellings():
    assert SAMPLE["switch"].spellings() == {"--switch": True, "--no-switch": False, "--never": False}
    assert SAMPLE["number"].spellings() == {"--number": None, "--num": None}


def test_one_word_has_one_meaning():
    @dataclass(frozen=True, kw_only=True)
    class Other:
        other: int = option(1, "another", aliases=("--never",))

    with pytest.raises(ValueError, match=r"'--never' of Other.other is already a word of Sample.switch"):
        options_by_name([Sample, Other])


def test_a_type_without_a_converter_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        odd: complex = option(1j, "imaginary")

    with pytest.raises(TypeError, match=r"Odd\.odd"):
        options_of(Odd)


def test_every_default_passes_its_own_checks():
    for item in OPTIONS.values():
        assert item.convert(item.default if not isinstance(item.default, Path) else str(item.default)) == item.default
        assert item.convert(item.text(item.default)) == item.default


@pytest.mark.parametrize(
    ("left", "right", "steps"),
    [("", "abc", 3), ("ephocs", "epochs", 2), ("epohcs", "epochs", 1), ("kitten", "sitting", 3), ("ca", "abc", 3)],
)
def test_distance(left, right, steps):
    assert distance(left, right) == distance(right, left) == steps


@settings(deadline=None)
@given(st.sampled_from(sorted(name for name in OPTIONS if len(name) > 1)), st.data())
def test_one_slip_finds_the_word_or_one_as_near(name, data):
    at = data.draw(st.integers(0, len(name) - 2))
    swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    found = nearest(swapped, OPTIONS)
    assert found is not None and distance(swapped, found) <= distance(swapped, name) <= 1


@settings(deadline=None)
@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=6))
def test_nearest_never_invents_and_never_reaches_far(word, candidates):
    found = nearest(word, candidates)
    assert found is None or found in candidates
    fold = lambda text: text.strip().lstrip("-").lower().replace("-", "_")  # noqa: E731
    if found is not None:
        alike = [fold(c) for c in candidates if distance(fold(word), fold(c)) < max(len(fold(word)), len(fold(c)), 1)]
        assert distance(fold(word), fold(found)) == min(distance(fold(word), c) for c in alike) <= 3


def test_nearest_ignores_dashes_and_case_and_breaks_ties_by_likeness():
    assert nearest("--Window_Size", ["--window-size"]) == "--window-size"
    assert nearest("abcd", ["abxd", "xbcd", "abcx"]) in {"abxd", "xbcd", "abcx"}
    assert nearest("mambo", ["mlp", "gru", "lstm"]) is None
    assert nearest("abc", ["xyz"]) is None
