"""Which requests a service answers: hosts, sites, encodings (docs/security.md)."""

from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request

from hocket.worker.http.guard import LOOPBACK, hosts_of, refusal

HOSTS = hosts_of("shop.example, Desk.Example", "0.0.0.0")


def refused(method: str, path: str, headers: Mapping[str, str]) -> int:
    """The status of a refusal, 0 where the request is answered."""
    found = refusal(make_mocked_request(method, path, headers=dict(headers)), HOSTS)
    return found[0] if found else 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8002", 0), ("127.0.0.1:8002", 0), ("[::1]:8002", 0), ("LOCALHOST", 0), ("shop.example", 0),
        ("desk.example:443", 0), ("evil.example", 421), ("localhost.evil.example:8002", 421), ("", 421),
        ("localhost:8002:evil", 421), ("10.0.0.7:8002", 421),
    ],
)  # fmt: skip
def test_only_known_hosts_are_answered(host: str, status: int) -> None:
    """DNS rebinding: a foreign name that resolves to this machine gets nothing, whatever the method."""
    for method in ("GET", "POST", "OPTIONS"):
        assert refused(method, "/orders", {"Host": host}) == status


def test_health_and_metrics_answer_any_host() -> None:
    """A process manager and Prometheus ask by address; they are told no data."""
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert refused("GET", path, {"Host": "10.0.0.7:8002"}) == 0


def test_the_sentence_names_the_setting() -> None:
    """Whoever reads the 421 knows what to set."""
    found = refusal(make_mocked_request("GET", "/", headers={"Host": "shop"}), LOOPBACK)
    assert found is not None
    assert "'shop'" in found[1]
    assert "HOCKET_ALLOWED_HOSTS" in found[1]


def test_what_is_allowed() -> None:
    """Loopback always; the address that is listened on unless it means every one; `*` means any."""
    assert hosts_of("", "0.0.0.0") == hosts_of("", "::") == LOOPBACK
    assert hosts_of("", "10.0.0.7") == LOOPBACK | {"10.0.0.7"}
    assert hosts_of("a, *", "127.0.0.1") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 0),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8002"}, 0),
        ({"Sec-Fetch-Site": "none"}, 0),
        ({"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example", "Content-Type": "text/plain"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
def test_no_page_of_another_site_changes_anything(headers: dict[str, str], status: int) -> None:
    """A form or a script elsewhere may send a POST; the browser says where it comes from. Programs say nothing."""
    assert refused("POST", "/orders", {"Host": "localhost:8002", **headers}) == status
    assert refused("GET", "/orders", {"Host": "localhost:8002", **headers}) == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP, identity"])
def test_a_compressed_body_is_refused_before_it_is_inflated(encoding: str) -> None:
    """415: a megabyte may inflate to a thousand."""
    assert refused("POST", "/orders", {"Host": "localhost", "Content-Encoding": encoding}) == 415
    for none in ("identity", ""):
        assert refused("POST", "/orders", {"Host": "localhost", "Content-Encoding": none}) == 0


def test_bytes_that_are_no_text_are_named() -> None:
    """400 for the address; of headers `tests/services/test_hostile_requests.py` shows it."""
    assert refused("GET", "/a%00b", {"Host": "localhost"}) == 400
