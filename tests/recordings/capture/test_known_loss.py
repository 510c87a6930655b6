"""Both sides recorded on the customer's channel: what linear music keeps whole, and what Debian's Asterisk still loses.

The phones begin their audio above 32767, as every second real one. What is lost is lost in Asterisk: these tests hold the
documentation (docs/how-to/record-calls.md) against it, and would tell us of a package that is better or worse.
"""

from __future__ import annotations

import asyncio
import subprocess
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from ami_bridge.doctor.recording_loss import loses_one_side
from switchhook.lab.asterisk_binary import AsteriskInstall
from tests.recordings.capture.test_tracks import (
    ALL,
    BEHIND,
    HEARD_SHARE,
    HIGH,
    JOIN_EDGE_SECONDS,
    LOW,
    ONE,
    held,
    held_outbound,
)
from tests.recordings.capture.test_transfers import attended, comes_back
from tests.recordings.office import CUSTOMER, Piece, Proof, Scene, Talk, prove_all, proven

pytestmark = pytest.mark.asterisk

LOST_SHARE = 0.5  # of a talk; what is lost is nearly all of it

WHOLE = [
    Scene("hold", held, ONE, starts=(HIGH,)),
    Scene("queue_hold", partial(held, line=3), ONE, starts=(HIGH,)),
    Scene("outbound_hold", held_outbound, ONE, starts=(HIGH,)),
    Scene(
        "consultation",
        partial(comes_back, via="code", kind="extension", end="aborted"),
        ALL,
        starts=(HIGH, HIGH, HIGH),
    ),
    Scene(
        "to_a_higher_colleague",
        partial(attended, via="refer", kind="extension"),
        ALL,
        starts=(LOW, 20_000, LOW),
    ),
]
SECOND_COLLEAGUE = Scene(
    "to_a_lower_colleague", partial(attended, via="refer", kind="extension"), starts=(HIGH, BEHIND, BEHIND)
)


@pytest.fixture(scope="module")
def loses(asterisk_install: AsteriskInstall) -> bool:
    """Whether this is a package that drops frames as late."""
    told = subprocess.run(
        [asterisk_install.program, "-V"], capture_output=True, text=True, timeout=20, check=True
    )
    return loses_one_side(told.stdout.strip())


@pytest.fixture(scope="module")
def proofs(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """All played with linear music."""
    return proven(
        asterisk_install, WHOLE, tmp_path_factory.mktemp("linear"), judge, customer_starts=(HIGH, LOW)
    )


def judge(proof: Proof) -> None:
    """Both sides of every talk are heard."""
    assert not proof.failure, f"the call could not be played: {proof.failure}"
    assert [
        (talk.partner, share) for talk in proof.talks if (share := _share(proof, talk)) < HEARD_SHARE
    ] == []


def _share(proof: Proof, talk: Talk) -> float:
    """The share of a talk for which both are heard, of the worse side."""
    edge = timedelta(seconds=JOIN_EDGE_SECONDS)
    (piece,) = proof.pieces
    since, until = piece.inside(talk.since + edge), piece.inside(talk.until - edge)
    return min(_sides(piece, talk, since, until))


def _sides(piece: Piece, talk: Talk, since: float, until: float) -> tuple[float, float]:
    return piece.received.share(CUSTOMER, since, until), piece.sent.share(talk.partner, since, until)


@pytest.mark.parametrize("name", [scene.name for scene in WHOLE])
def test_linear_music_keeps_recordings_whole(proofs: dict[str, Proof], name: str) -> None:
    """After a hold, a queue and a consultation, in and out; and after a transfer to a phone with higher numbers."""
    judge(proofs[name])


def test_a_second_colleague_with_lower_numbers_is_lost(
    asterisk_install: AsteriskInstall, tmp_path: Path, loses: bool
) -> None:
    """The hole that remains, whatever the music: named in the documentation, and the reason for the tracks."""
    proof = asyncio.run(prove_all(asterisk_install, [SECOND_COLLEAGUE], tmp_path))[SECOND_COLLEAGUE.name]
    assert not proof.failure, proof.failure
    first, second = proof.talks
    assert _share(proof, first) >= HEARD_SHARE - 0.1
    assert (_share(proof, second) < LOST_SHARE) is loses


def test_companded_music_loses_our_side(
    asterisk_install: AsteriskInstall, tmp_path: Path, loses: bool
) -> None:
    """Which is why init and doctor ask for .wav or .sln."""
    scene = WHOLE[0]
    proof = asyncio.run(prove_all(asterisk_install, [scene], tmp_path, companded_music=True))[scene.name]
    assert not proof.failure, proof.failure
    before, after = proof.talks
    assert _share(proof, before) >= HEARD_SHARE - 0.1
    assert (_share(proof, after) < LOST_SHARE) is loses
