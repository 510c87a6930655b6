"""What is stored of deliveries and credentials is read as it was written."""

from __future__ import annotations

import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from crm_sync.codec import decode_credentials, decode_delivery, encode_credentials, encode_delivery
from crm_sync.delivery import Delivery, HoldReason
from crm_sync.exchange import Credentials
from crm_sync.operations import CallLog, Operation, OperationKind, Recording, Ref, RefKind
from crm_sync.states import DeliveryState
from telephony.call_facts.facts import Direction, Disposition

MOMENTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(max_size=20)
CALLS = st.builds(
    CallLog,
    call_id=st.uuids(),
    direction=st.sampled_from(Direction),
    phone=st.none() | TEXTS,
    started_at=MOMENTS,
    answered_at=st.none() | MOMENTS,
    disposition=st.none() | st.sampled_from(Disposition),
    summary=TEXTS,
)
RECORDINGS = st.builds(Recording, TEXTS, st.binary(max_size=20), st.none() | TEXTS)
OPERATIONS = st.builds(
    Operation,
    st.sampled_from(OperationKind),
    CALLS,
    st.none() | RECORDINGS,
    TEXTS,
    st.lists(TEXTS, max_size=2).map(tuple),
)
DELIVERIES = st.builds(
    Delivery,
    TEXTS,
    OPERATIONS,
    st.integers(),
    MOMENTS,
    MOMENTS,
    age_from=st.none() | MOMENTS,
    state=st.sampled_from(DeliveryState),
    hold=st.none() | st.sampled_from(HoldReason),
    refs=st.lists(st.builds(Ref, st.sampled_from(RefKind), TEXTS, st.none() | TEXTS), max_size=2).map(tuple),
)


@given(DELIVERIES)
def test_a_delivery_is_read_as_it_was_written(delivery: Delivery) -> None:
    """Whatever is in it."""
    assert decode_delivery(json.loads(json.dumps(encode_delivery(delivery)))) == delivery


@given(st.builds(Credentials, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.none() | MOMENTS, st.integers()))
def test_credentials_are_read_as_they_were_written(credentials: Credentials) -> None:
    """Whatever is in them."""
    assert decode_credentials(json.loads(json.dumps(encode_credentials(credentials)))) == credentials
