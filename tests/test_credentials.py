"""TLS to a collector: what is read is usable, and what is not is the user's error, with its file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from extproc.credentials import ClientTls
from extproc.errors import InvalidSettings

AUTHORITY = trustme.CA()
OURS, OTHER = AUTHORITY.issue_cert("extproc.example"), AUTHORITY.issue_cert("other.example")


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], str]:
    """The path of one of the files, by its name."""
    contents = {
        "ca": AUTHORITY.cert_pem.bytes(),
        "certificate": OURS.cert_chain_pems[0].bytes(),
        "key": OURS.private_key_pem.bytes(),
        "other key": OTHER.private_key_pem.bytes(),
        "nonsense": b"no PEM",
        "octets": b"\xff\xfe",
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return lambda name: str(tmp_path / name) if name else ""


def test_all_files_are_read_and_the_key_is_never_shown(files: Callable[[str], str]) -> None:
    tls = ClientTls.given(files("ca"), files("certificate"), files("key"), {})
    assert tls.certificate
    assert tls.key
    assert (tls.authorities.path, tls.authorities.text.encode()) == (files("ca"), AUTHORITY.cert_pem.bytes())
    assert (tls.certificate.text.encode(), tls.key.text.encode()) == (
        OURS.cert_chain_pems[0].bytes(),
        OURS.private_key_pem.bytes(),
    )
    assert "BEGIN" not in repr(tls)


def test_without_an_authority_the_systems_are_trusted(files: Callable[[str], str]) -> None:
    tls = ClientTls.given("", "", "", {"SSL_CERT_FILE": files("ca")})
    assert (tls.authorities.path, tls.certificate, tls.key) == (files("ca"), None, None)
    assert ClientTls.given(files("ca"), "", "", {"SSL_CERT_FILE": files("nonsense")}).authorities.path == files("ca")


@pytest.mark.parametrize(
    ("authorities", "certificate", "key", "says"),
    [
        ("missing", "", "", "missing can't be read: No such file"),
        ("nonsense", "", "", "nonsense holds no authorities' certificates"),
        ("empty", "", "", "empty holds no authorities' certificates"),
        ("key", "", "", "key holds no authorities' certificates"),
        ("octets", "", "", "octets is not in PEM form"),
        ("ca", "certificate", "", "belong together"),
        ("ca", "", "key", "belong together"),
        ("ca", "certificate", "other key", "other key can't be used"),
        ("ca", "certificate", "missing", "missing can't be used"),
        ("ca", "nonsense", "key", "can't be used"),
    ],
)
def test_what_can_t_be_used_is_the_users_error(
    files: Callable[[str], str], authorities: str, certificate: str, key: str, says: str
) -> None:
    with pytest.raises(InvalidSettings, match=says):
        ClientTls.given(files(authorities), files(certificate), files(key), {})


def test_a_system_without_authorities_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.credentials._SYSTEM", ("/nowhere.crt",))
    with pytest.raises(InvalidSettings, match="ca-certificates"):
        ClientTls.given("", "", "", {"SSL_CERT_FILE": "/nowhere.pem"})
