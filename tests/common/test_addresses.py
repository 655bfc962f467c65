"""Whose an address is, for limits."""

import pytest

from services.common.addresses import home


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("nonsense", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_address_is_its_subscribers_and_an_ipv4_address_its_own(address: str | None, whose: str) -> None:
    assert home(address) == whose
