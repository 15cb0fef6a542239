"""Addresses that others give us must not lead inside, by no spelling and at no moment."""

import http.server
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from providers.connections.registry import http_client
from providers.contract.base import PermanentError, TemporaryError, UncertainError
from providers.contract.http import Wire
from providers.network.callbacks import (
    ForbiddenAddress,
    GuardedTransport,
    Policy,
    check_reachable,
    check_url,
    is_allowed,
)

PUBLIC, INSIDE, PLAIN = Policy(), Policy(private=True), Policy(private=True, plain=True)
LIMITS = httpx.Limits()

PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12::1",
]
NEVER = [
    "0.0.0.0",  # noqa: S104
    "169.254.169.254",
    "169.254.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "::",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "2001:db8::1",
    "64:ff9b:1::1",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "::a9fe:a9fe",
    "2001:0:a9fe:a9fe::1",
]
DISGUISED = ["::ffff:10.0.0.1", "2002:a00:1::1", "64:ff9b::a00:1", "::a00:1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
GOOD = ["8.8.8.8", "203.0.114.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def names(monkeypatch):
    """What the DNS answers: one list of addresses after another, the last one again and again."""
    answers: dict[str, list[list[str]]] = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host, port, *args, **options):
        if re.fullmatch(r"[0-9.]+", host):
            return real(host, port, *args, **options)
        asked.append(host)
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        rows = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in row], socket.SOCK_STREAM, 6, "", (row, port)) for row in rows]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answers["asked"] = asked  # type: ignore[assignment]
    return answers


class Dialled(httpcore.MockBackend):
    """Notes where connections go and answers 202."""

    def __init__(self, refusing: tuple[str, ...] = ()) -> None:
        super().__init__([b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"])
        self.addresses: list[tuple[str, int]] = []
        self.refusing = refusing

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.addresses.append((host, port))
        if host in self.refusing:
            raise httpcore.ConnectError("refused")
        return super().connect_tcp(host, port)


def client_of(backend, policy=PUBLIC):
    return httpx.Client(transport=GuardedTransport(policy, LIMITS, backend), trust_env=False)


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("addresses", "public", "inside"),
    [(PRIVATE, False, True), (DISGUISED, False, True), (NEVER, False, False), (GOOD, True, True)],
    ids=["private", "disguised", "never", "good"],
)
def test_verdict_on_addresses(addresses, public, inside):
    verdicts = {
        each: (is_allowed(ip_address(each), PUBLIC), is_allowed(ip_address(each), INSIDE)) for each in addresses
    }
    assert {each: verdict for each, verdict in verdicts.items() if verdict != (public, inside)} == {}


@given(st.ip_addresses(v=4))
def test_address_is_judged_alike_however_it_is_wrapped(address):
    bits = int(address)
    wrapped = [0xFFFF << 32 | bits, 0x2002 << 112 | bits << 80, 0x64FF9B << 96 | bits]
    verdicts = {is_allowed(IPv6Address(each), policy) for each in wrapped for policy in (PUBLIC,)}
    assert verdicts == {is_allowed(address, PUBLIC)}


# --- spellings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pdp.example.test/hook",
        "//pdp.example.test/hook",
        "http://pdp.example.test/hook",
        "ftp://pdp.example.test/hook",
        "file:///etc/passwd",
        "gopher://pdp.example.test:70/_x",
        "unix:/run/x",
        "javascript:alert(1)",
        "https://",
        "https:///hook",
        "https://user@pdp.example.test/",
        "https://user:pass@pdp.example.test/",
        "https://pdp.example.test/#x",
        "https://pdp.example.test/#",
        "https://pdp.example.test:22/",
        "https://pdp.example.test:25/",
        "https://pdp.example.test:99999/",
        "https://pdp.example.test:0/",
        "https://pdp.example.test:x/",
        "https://pdp.example.test\\@10.0.0.1/",
        "https://pdp.example.test/ x",
        "https://pdp.example.test/\r\nHost: x",
        "https://pdp.example.test/\x00",
        "https://pdp.exämple.test/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://pdp.example.test/" + "x" * 2000,
    ],
)
def test_address_that_could_never_be_called(url, names):
    with pytest.raises(ForbiddenAddress):
        check_url(url, PUBLIC)
    assert names["asked"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://pdp.example.test/hook/9f2c/",
        "https://pdp.example.test:8443/hook?a=b",
        "https://8.8.8.8/hook",
        "HTTPS://PDP.EXAMPLE.TEST/",
    ],
)
def test_address_that_may_be_called(url):
    check_url(url, PUBLIC)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8900/hook", "http://[::1]/", "https://10.0.0.1:443/", "http://nas:8080/"]
)
def test_policy_opens_what_it_names(url):
    check_url(url, PLAIN)
    with pytest.raises(ForbiddenAddress):
        check_url(url, Policy(plain=True) if "nas" not in url else Policy(private=True))


def test_metadata_stays_closed_under_every_policy(names):
    names["metadata"] = [["169.254.169.254"]]
    for url in ("http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://metadata/"):
        with pytest.raises(ForbiddenAddress):
            check_reachable(url, PLAIN)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"], ["::ffff:192.168.0.1"]]
)
def test_name_that_leads_inside_is_refused(names, addresses):
    names["pdp.example.test"] = [addresses]
    with pytest.raises(ForbiddenAddress, match="must not be called"):
        check_reachable("https://pdp.example.test/", PUBLIC)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001"])
def test_number_that_the_system_takes_for_an_address_is_refused(host):
    """These spellings are no addresses to us, but the resolver makes 127.0.0.1 of them."""
    with pytest.raises(ForbiddenAddress):
        check_reachable(f"https://{host}/", PUBLIC)


def test_name_nobody_knows_is_refused(names):
    with pytest.raises(ForbiddenAddress, match="Nobody knows the host"):
        check_reachable("https://pdp.example.test/", PUBLIC)


def test_name_too_long_for_the_resolver_is_refused():
    with pytest.raises(ForbiddenAddress):
        check_reachable(f"https://{'a' * 70}.example.test/", PUBLIC)


# --- calls ------------------------------------------------------------------------------------------------------------


def test_call_goes_to_the_address_that_was_judged(names):
    names["pdp.example.test"] = [["203.0.114.7"]]
    backend = Dialled()
    answer = client_of(backend, Policy(plain=True)).post("http://pdp.example.test/hook", json={})

    assert (answer.status_code, backend.addresses, names["asked"]) == (202, [("203.0.114.7", 80)], ["pdp.example.test"])


def test_name_that_changes_between_check_and_call_is_refused(names):
    names["pdp.example.test"] = [["203.0.114.7"], ["10.0.0.1"]]
    check_reachable("https://pdp.example.test/", PUBLIC)
    backend = Dialled()

    with pytest.raises(ForbiddenAddress):
        client_of(backend).post("https://pdp.example.test/", json={})
    assert backend.addresses == []


def test_next_address_is_tried_where_the_first_is_deaf(names):
    names["pdp.example.test"] = [["203.0.114.7", "203.0.114.8"]]
    backend = Dialled(refusing=("203.0.114.7",))
    client_of(backend, Policy(plain=True)).post("http://pdp.example.test/", json={})

    assert [address for address, _port in backend.addresses] == ["203.0.114.7", "203.0.114.8"]


def test_call_without_check_is_judged_all_the_same():
    with pytest.raises(ForbiddenAddress):
        client_of(Dialled()).post("http://127.0.0.1/", json={})


def test_proxy_of_the_environment_plays_no_part(names, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    names["pdp.example.test"] = [["10.0.0.1"]]
    with pytest.raises(ForbiddenAddress):
        http_client(PUBLIC).post("https://pdp.example.test/", json={})


def test_clients_of_two_policies_share_no_connection():
    assert http_client(PUBLIC) is not http_client(PLAIN)
    assert http_client(PUBLIC) is http_client(Policy())
    assert http_client(INSIDE) is not http_client(PUBLIC)


@pytest.mark.parametrize(
    ("addresses", "error"),
    [([["10.0.0.1"]], PermanentError), ([["203.0.114.7"]], TemporaryError), ([], TemporaryError)],
)
def test_failure_is_told_in_our_terms(names, addresses, error):
    if addresses:
        names["pdp.example.test"] = addresses
    wire = Wire(client_of(Dialled(refusing=("203.0.114.7",))), platform="PDP")
    with pytest.raises(error):
        wire.exchange("POST", "https://pdp.example.test/secret-path", repeatable=False, json={})


# --- over real sockets ------------------------------------------------------------------------------------------------


class Redirecting(http.server.BaseHTTPRequestHandler):
    seen: list[str] = []

    def do_POST(self):
        self.seen.append(f"{self.headers['Host']} {self.path}")
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(307)
        self.send_header("Location", "http://169.254.169.254/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Redirecting.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_redirect_is_not_followed(server):
    wire = Wire(http_client(PLAIN), platform="PDP")
    answer = wire.exchange("POST", f"http://127.0.0.1:{server.server_port}/hook", repeatable=False, json={})
    with pytest.raises(UncertainError, match="redirect"):
        wire.require_success(answer, repeatable=False)
    assert Redirecting.seen == [f"127.0.0.1:{server.server_port} /hook"]


def make_certificate(name: str, folder) -> tuple[str, str]:
    """A certificate of its own authority, and its key, as files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(files[0]), str(files[1])


@pytest.mark.parametrize(("host", "is_proven"), [("pdp.example.test", True), ("other.example.test", False)])
def test_certificate_is_proven_for_the_name_not_for_the_address(server, names, tmp_path, monkeypatch, host, is_proven):
    certificate, key = make_certificate("pdp.example.test", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    names[host] = [["127.0.0.1"]]
    with httpx.Client(transport=GuardedTransport(INSIDE, LIMITS), trust_env=False) as client:
        url = f"https://{host}:{server.server_port}/hook"
        if is_proven:
            assert client.post(url, json={}).status_code == 307
            return
        with pytest.raises(httpx.ConnectError, match="certificate"):
            client.post(url, json={})
