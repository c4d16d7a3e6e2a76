"""What TLS to a collector needs: whom to trust, and a certificate of our own for a collector that asks for one.

Must stay true: what is in here is usable. It goes into Envoy's configuration, and a cluster with a certificate that
Envoy refuses would hold up every other change. The content goes there, not the path: Envoy may run elsewhere. Files are
read when the process starts.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from extproc.errors import InvalidSettings

# Where systems keep the authorities they trust; the list of Go's crypto/x509 (root_linux.go) and of OpenSSL's
# SSL_CERT_FILE. There is no one place.
_SYSTEM: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Pem:
    """A file in PEM form, and what it held."""

    path: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """`authorities` sign the servers that are trusted. `certificate` and `key` say who we are; both or neither."""

    authorities: Pem
    certificate: Pem | None = None
    key: Pem | None = None

    @classmethod
    def given(cls, authorities: str, certificate: str, key: str, environment: Mapping[str, str]) -> Self:
        """Read the files; without `authorities` those of the system. Raises InvalidSettings, naming the file."""
        if bool(certificate) != bool(key):
            raise InvalidSettings(
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY belong together: set both"
            )
        trusted = _read(authorities or _system(environment))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=trusted.text)
        except (ssl.SSLError, ValueError) as error:
            raise InvalidSettings(f"{trusted.path} holds no authorities' certificates in PEM form: {error}") from error
        if not certificate:
            return cls(trusted)
        try:
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise InvalidSettings(f"{certificate} with the key {key} can't be used: {error}") from error
        return cls(trusted, _read(certificate), _read(key))


def _read(path: str) -> Pem:
    try:
        return Pem(path, Path(path).read_text())
    except OSError as error:
        raise InvalidSettings(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{path} is not in PEM form") from error


def _system(environment: Mapping[str, str]) -> str:
    """The file of the authorities that this system trusts. Raises InvalidSettings where there is none."""
    places = (environment.get("SSL_CERT_FILE", ""), *_SYSTEM)
    found = next((place for place in places if place and Path(place).is_file()), "")
    if not found:
        raise InvalidSettings(
            "no authorities to trust are installed here: install the package ca-certificates, or name a file of them in"
            " OTEL_EXPORTER_OTLP_CERTIFICATE"
        )
    return found
