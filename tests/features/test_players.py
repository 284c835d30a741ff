"""Registries of players: numbers that never change, names that are one, and files that are refused or kept whole."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exphil.errors import DataError, OptionError, OutputError, PolicyError
from exphil.features.players import Everybody, Known, Registry, known, player_key

NAMES = [f"P{at}#{at * 7 % 100}" for at in range(30)]
KEYS = st.lists(st.sampled_from(["", *NAMES]), max_size=60)
SIZES = st.sampled_from([0, 1, 2, 3, 5, 16, 33, 112])


def wide(text: str) -> str:
    """As the game writes tags: letters as wide as kanji."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


@pytest.mark.parametrize(
    ("code", "tag", "key"),
    [
        ("MANG#0", "", "MANG#0"),
        ("mang#0", "WOO!", "MANG#0"),
        ("", "woo!", "WOO!"),
        ("", "", ""),
        ("  ", wide("WOO!"), "WOO!"),
        (wide("mang#0"), "", "MANG#0"),
        (" A\u3000 B\t", "", "A B"),
        ("MA\x00NG\u200b#0", "", "MANG#0"),
        ("", "ウッホ", "ウッホ"),
    ],
)
def test_the_name_of_a_player(code, tag, key):
    assert player_key(code, tag) == key


@given(st.text(max_size=12))
def test_a_name_stays_what_it_is(text):
    once = player_key(text, "")
    assert player_key(once, "") == once == player_key(f" {text} ", "")
    once.encode()  # it can be written into a file


@given(KEYS, SIZES, st.integers(1, 4))
def test_numbers_are_within_the_size_and_follow_the_counts(keys, size, min_games):
    registry, counts = Registry.build(keys, size, min_games), Counter(filter(None, keys))
    for name in NAMES:
        number = registry.number(name)
        assert 0 <= number <= size
        if counts[name] < min_games:
            assert number == 0
        elif size > 1:
            assert number > 0
    assert registry.number("") == 0
    own = [name for name in registry.players if registry.number(name) <= registry.own]
    assert len({registry.number(name) for name in own}) == len(own)
    shared = [counts[name] for name in registry.players if name not in own]
    assert not shared or (len(own) == registry.own and max(shared) <= min(counts[name] for name in own))


@given(KEYS, SIZES, st.randoms(use_true_random=False))
def test_the_order_of_the_games_does_not_matter(keys, size, rng):
    other = list(keys)
    rng.shuffle(other)
    assert Registry.build(keys, size) == Registry.build(other, size)


@given(SIZES, st.lists(st.tuples(KEYS, st.integers(1, 3)), min_size=1, max_size=5))
def test_no_extension_renumbers_anybody(size, rounds):
    registries = [Registry(size)]
    for keys, min_games in rounds:
        registries.append(registries[-1].extended(keys, min_games))
        assert registries[-1].extended(keys, min_games) == registries[-1], "the same games again change nothing"
        assert Registry.from_dict(json.loads(json.dumps(registries[-1].as_dict()))) == registries[-1]
    for before, after in pairwise(registries):
        for name, (number, games) in before.players.items():
            assert after.players[name].number == number and after.players[name].games >= games


def test_the_rare_ones_share_the_last_numbers():
    """112 numbers: 105 players of their own, 7 buckets; a bucket follows from the name alone."""
    keys = [f"{at}#1" for at in range(200) for _ in range(1 + (at < 105))]
    registry = Registry.build(keys, 112)
    assert (registry.own, registry.buckets) == (105, 7)
    assert sorted(registry.number(f"{at}#1") for at in range(105)) == list(range(1, 106))
    shared = Counter(registry.number(f"{at}#1") for at in range(105, 200))
    assert set(shared) == set(range(106, 113)) and max(shared.values()) < 30
    other = Registry.build([*keys, *(f"{at}#2" for at in range(300))], 112)
    assert all(other.number(f"{at}#1") == registry.number(f"{at}#1") for at in range(105, 200))
    late = registry.extended(["150#1"] * 99)
    assert late.number("150#1") == registry.number("150#1"), "not even when many games follow"


def test_a_bucket_is_the_same_on_every_machine():
    registry = Registry.build([*["A#1"] * 9, "MANG#0", "ZAIN#0"], 2)
    assert (registry.number("A#1"), registry.number("MANG#0"), registry.number("ZAIN#0")) == (1, 2, 2)
    keys = [f"{at}#9" for at in range(150) for _ in range(2)]
    assert [Registry.build([*keys, name], 112).number(name) for name in ("MANG#0", "ZAIN#0", "WOO!")] == [109, 108, 109]


def test_players_with_few_games_are_nobody_until_they_have_more():
    registry = Registry.build(["A#1", "A#1", "B#2"], 8, min_games=2)
    assert (registry.number("A#1"), registry.number("B#2")) == (1, 0)
    registry = registry.extended(["B#2", "B#2", "A#1"], min_games=2)
    assert (registry.number("A#1"), registry.number("B#2")) == (1, 2)
    assert registry.players["A#1"] == Known(1, 2)


def test_the_names_of_one_player_are_counted_together():
    registry = Registry(8, aliases={"MANG#0": ("MANGO#1", "MANG")})
    registry = registry.extended(["MANGO#1", "MANG", "ZAIN#0", "ZAIN#0"], min_games=2)
    assert registry.players == {"MANG#0": Known(1, 2), "ZAIN#0": Known(2, 2)}
    assert registry.number("mango#1") == registry.named("mang") == registry.number("MANG#0") == 1


def test_an_alias_added_later_renumbers_nobody():
    """The group has its first name's number, else the lowest of the others; numbers that fall idle stay taken."""
    group = ["A#1", "B#2", "C#3", "X#9"]
    before = Registry.build(["A#1", "A#1", "B#2", "C#3"], 8)
    both = Registry(8, before.players, {"B#2": ("A#1",)})
    assert (both.number("A#1"), both.number("B#2")) == (2, 2)
    unknown = Registry(8, before.players, {"X#9": ("C#3", "B#2")})
    assert unknown.number("X#9") == unknown.number("C#3") == 2
    for registry in (both, unknown):
        after = registry.extended(["A#1", "B#2", "X#9", "C#3", "D#4"])
        assert {name: after.number(name) for name in group if registry.number(name)} == {
            name: registry.number(name) for name in group if registry.number(name)
        }
        assert after.number("D#4") > 3 and after.aliases == registry.aliases


def test_a_style_is_asked_for_by_name():
    registry = Registry.build([*["MANG#0"] * 2, "MANG#1", "ZAIN#0"], 8)
    assert registry.named("mang#0") == 1 and registry.named("nobody") == 0
    with pytest.raises(OptionError, match="no style 'mang': the policy does not know this player") as caught:
        registry.named("mang")
    assert caught.value.fix == "did you mean MANG#1 or MANG#0?"
    with pytest.raises(OptionError) as caught:
        registry.named("Somebody Else")
    assert caught.value.fix == "it knows MANG#0, MANG#1, ZAIN#0"
    with pytest.raises(OptionError, match="the policy knows no players"):
        Registry(8).named("mang#0")
    many = Registry.build([f"{at}#1" for at in range(40)], 112)
    with pytest.raises(OptionError, match="and 28 more"):
        many.named("qqqqqqqq")


def test_everybody_may_have_one_number():
    assert [Everybody(3).number(key) for key in ("", "A#1")] == [3, 3]


def test_a_policy_without_styles_knows_nobody():
    assert known({}, "a.pt") == Registry(0)
    registry = Registry.build(["A#1"], 4)
    assert known(registry.as_dict(), "a.pt") == registry
    with pytest.raises(PolicyError, match=r"a\.pt: not a registry of players, or damaged: no 'players'"):
        known({"version": 1, "size": 4}, "a.pt")


def test_a_file_comes_back_and_reads_well(tmp_path):
    path = tmp_path / "deep" / "players.json"
    registry = Registry(16, aliases={"MANG#0": ("MANGO#1",)}).extended(["MANG#0", "MANG#0", "ウッホ"])
    registry.save(path)
    assert Registry.load(path, 16) == registry
    assert path.read_text(encoding="utf-8") == (
        '{\n  "version": 1,\n  "size": 16,\n  "players": {\n'
        '    "MANG#0": {"number": 1, "games": 2},\n    "ウッホ": {"number": 2, "games": 1}\n  },\n'
        '  "aliases": {\n    "MANG#0": ["MANGO#1"]\n  }\n}\n'
    )
    Registry(3).save(path)
    assert Registry.load(path) == Registry(3) and [found.name for found in path.parent.iterdir()] == ["players.json"]


def test_a_file_written_by_hand_may_be_in_any_case(tmp_path):
    path = tmp_path / "players.json"
    page = (
        '{"version": 1, "size": 8, "players": {"mang#0": {"games": 2, "number": 3}}, "aliases": {"Mang#0": ["WIDE"]}}'
    )
    path.write_bytes(b"\xef\xbb\xbf" + page.replace("WIDE", wide("woo")).encode())  # as some editors begin a file
    registry = Registry.load(path)
    assert registry.number("MANG#0") == registry.number("WOO") == 3
    registry.extended(["B#1"]).save(path)
    assert Registry.load(path).aliases == {"MANG#0": ("WOO",)} and Registry.load(path).number("B#1") == 1


GOOD = {"version": 1, "size": 8, "players": {"A#1": {"number": 1, "games": 2}}, "aliases": {}}


def page(**changed) -> str:
    return json.dumps({**GOOD, **changed})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        (page()[:-9], "not JSON: line 1, column"),
        ("\x80", "not UTF-8 text"),
        ("[" * 100_000, "nested too deep"),
        ("{}", "no 'version'"),
        ("[]", "the file is not a list of names"),
        (page(size=-1), "its size is -1, not a whole number of at least 0"),
        (page(size=True), "its size is True"),
        (page(size="8"), "its size is '8'"),
        (page(comment="mine"), "unknown key 'comment'"),
        (page(players=[]), "players is not a list of names"),
        (page(players={"A#1": 1}), "player 'A#1' is not a list of names"),
        (page(players={"A#1": {"number": 1}}), "player 'A#1' is not a name that stands there once"),
        (page(players={" ": {"number": 1, "games": 1}}), "player ' ' is not a name"),
        (page(players={"A": {"number": 9, "games": 1}}), "the number of 'A' is 9, not a whole number from 1 to 8"),
        (page(players={"A": {"number": 0, "games": 1}}), "the number of 'A' is 0"),
        (page(players={"A": {"number": 1.0, "games": 1}}), "the number of 'A' is 1.0"),
        (page(players={"A": {"number": 1, "games": -1}}), "the games of 'A' is -1, not a whole number of at least 0"),
        (page(players={name: {"number": 2, "games": 1} for name in "AB"}), "'A' and 'B' both have number 2"),
        (page(players={name: {"number": 2, "games": 1} for name in "aA"}), "player 'A' is not a name that stands"),
        ('{"version": 1, "size": 8, "size": 9}', "'size' stands there twice"),
        (page(aliases={"A": "B"}), "the aliases of 'A' are not a list of names"),
        (page(aliases={"A": [""]}), "the aliases of 'A' are not a list of names"),
        (page(aliases={"A": ["B"], "C": ["b"]}), "'B' stands in more than one place of the aliases"),
        (page(aliases={"A": ["B"], "B": ["C"]}), "'B' stands in more than one place of the aliases"),
        (page(aliases={"A": ["a"]}), "'A' stands in more than one place of the aliases"),
        (page(aliases={"A": ["B"], "a": ["C"]}), "'A' stands in more than one place of the aliases"),
    ],
)
def test_a_damaged_file_is_refused_and_stays(text, says, tmp_path):
    path = tmp_path / "players.json"
    path.write_bytes(text.encode("latin-1") if text == "\x80" else text.encode())
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        Registry.load(path)
    assert caught.value.where == str(path) and caught.value.what.startswith("not a registry of players, or damaged: ")
    assert says in caught.value.what and "this one was not touched" in caught.value.fix
    assert path.read_bytes() == before


def test_another_version_and_another_size_are_refused(tmp_path):
    path = tmp_path / "players.json"
    path.write_text(page(version=2, anything=[]))
    with pytest.raises(DataError, match="a registry of players of version 2; this exphil reads version 1"):
        Registry.load(path)
    path.write_text(page())
    with pytest.raises(DataError, match="a registry of 8 numbers; --num-player-names is 112") as caught:
        Registry.load(path, 112)
    assert caught.value.fix == "--num-player-names 8, or another --player-registry"


def test_places_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read \\(Is a directory\\)"):
        Registry.load(tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        Registry(3).save(tmp_path / "file" / "players.json")
    assert caught.value.fix == "choose another --player-registry"


def test_every_cut_and_every_flipped_byte_is_read_or_refused(tmp_path):
    """Never another exception, never a number outside, and the file is left as it is."""
    path, rng = tmp_path / "players.json", random.Random(5)
    Registry(16, aliases={"A#1": ("B#2",)}).extended(["A#1", "C#3", "D#4"]).save(path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        for broken in (whole[:at], flipped):
            path.write_bytes(broken)
            try:
                assert all(1 <= found.number <= 16 for found in Registry.load(path).players.values())
            except DataError as error:
                assert error.where == str(path)
            assert path.read_bytes() == broken
