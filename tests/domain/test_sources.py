"""A caller's address is believed as far as known proxies vouch for it, and no further."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain.sources import networks, source_of, within

PROXIES = networks(["127.0.0.1", "10.0.0.0/8"])
CALLER = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        (CALLER, [], CALLER),
        (CALLER, ["198.51.100.1"], CALLER),
        ("127.0.0.1", [CALLER], CALLER),
        ("127.0.0.1", [f"198.51.100.1, {CALLER}, 10.2.3.4"], CALLER),
        ("127.0.0.1", ["198.51.100.1", f"{CALLER}:4711"], CALLER),
        ("::ffff:127.0.0.1", [CALLER], CALLER),
        ("127.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "None"),
        ("", [CALLER], "None"),
    ],
)
def test_source_is_the_last_address_that_nobody_known_stands_before(
    peer: str, forwarded: list[str], source: str
) -> None:
    assert str(source_of(peer, forwarded, PROXIES)) == source


@given(st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=5))
def test_caller_cannot_invent_an_address(invented: list[str]) -> None:
    told = [*invented, CALLER]
    assert str(source_of("127.0.0.1", [",".join(told)], PROXIES)) == CALLER
    assert str(source_of(CALLER, invented, PROXIES)) == CALLER


def test_address_is_within_its_networks_only() -> None:
    allowed = networks(["203.0.113.0/24", "2001:db8::/32"])
    assert within(source_of(CALLER, [], ()), allowed)
    assert not within(source_of("198.51.100.1", [], ()), allowed)
    assert not within(source_of("nobody", [], ()), allowed)
