"""Copies of a master key as people bring them on the day it is lost."""

from __future__ import annotations

import base64
import hashlib

import pytest

from harmonia_py.errors import InvalidMasterKey
from harmonia_py.secrets import Secret, masterkey, recovery

KEY = masterkey.generate()
OURS = recovery.split(KEY, shares=5, threshold=3)
BOM = b"\xef\xbb\xbf"


def share(text: bytes) -> Secret:
    return Secret(text + b"_" + hashlib.sha256(text).hexdigest()[:8].encode())


def raw(part: Secret) -> bytes:
    return base64.urlsafe_b64decode(part.reveal().split(b"_", 2)[2][:-9] + b"==")


@pytest.mark.parametrize("chosen", [(0, 1, 2), (4, 2, 0), (0, 1, 2, 3, 4), (3, 3, 1, 3, 0)])
def test_enough_of_one_split_give_the_key(chosen: tuple[int, ...]) -> None:
    assert recovery.join([OURS[n] for n in chosen]) == KEY


@pytest.mark.parametrize("of", [KEY, masterkey.generate()], ids=["same key", "another key"])
def test_a_share_of_another_split_is_noticed_beside_enough(of: Secret) -> None:
    """It gave a key that never was, and the database was blamed."""
    foreign = recovery.split(of, shares=5, threshold=3)[0]
    for place in range(4):
        given = [*OURS[:3]]
        given.insert(place, foreign)
        # Numbers are random: now and then it has that of one of ours.
        says = "do not belong together|the number of another"
        with pytest.raises(InvalidMasterKey, match=says) as refused:
            recovery.join(given)
        assert "made together" in (refused.value.hint or "")


def test_two_that_say_they_are_the_same_one_are_not_chosen_from() -> None:
    body = raw(OURS[2])
    other = bytes([body[0] ^ 1]) + body[1:]
    forged = share(b"hmr1_3_" + base64.urlsafe_b64encode(other).rstrip(b"="))
    with pytest.raises(InvalidMasterKey, match="share 4 of 4 has the number of another"):
        recovery.join([*OURS[:3], forged])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "no share was given"),
        ([OURS[0], OURS[0], OURS[1]], "2 different shares were given, 3 are needed"),
        ([OURS[0], Secret(OURS[1].reveal()[:-9] + b"_00000000"), OURS[2]], "share 2 of 3 is dam"),
        ([OURS[0], OURS[1], Secret(OURS[2].reveal().upper())], "share 3 of 3 is damaged"),
        ([*OURS[:2], *recovery.split(KEY, shares=3, threshold=2)], "of different keys"),
        ([share(b"hmr1_0_" + b"A" * 44)], "share 1 of 1 is damaged"),
        ([share(b"hmr1_1_" + b"A" * 44)], "share 1 of 1 is damaged"),
        ([share(b"hmr1_2_QQ"), share(b"hmr1_2_Qg")], "share 1 of 2 is damaged"),
        ([share(b"hmr1_2_Q"), share(b"hmr1_2_Qg")], "share 1 of 2 is damaged"),
    ],
)
def test_what_is_wrong_is_said_and_no_new_key_is_suggested(given: list[Secret], says: str) -> None:
    with pytest.raises(InvalidMasterKey, match=says) as refused:
        recovery.join(given)
    hint = refused.value.hint or ""
    assert "keys init" not in hint
    assert not any(part.reveal().decode() in f"{refused.value}{hint}" for part in OURS)


def test_what_editors_put_around_is_no_part_of_it() -> None:
    identity, recipient = recovery.new_identity()
    files = [BOM + part.reveal() + b"\r\n" for part in OURS[:3]]
    assert recovery.open_backup(files, None) == KEY
    sealed = [recovery.encrypt_to([recipient], part) for part in OURS[:3]]
    held = BOM + b"# of a holder\r\n" + identity.reveal() + b"\r\n"
    assert recovery.open_backup(sealed, held) == KEY
    whole = BOM + masterkey.text(KEY).encode() + b"\n"
    assert recovery.open_backup([whole], None) == KEY
