"""What the flags and OpenTelemetry's variables mean for traces, and what the page is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from extproc.collector import Tracing
from extproc.errors import InvalidSettings
from extproc.settings import Dashboard

OTLP = "OTEL_EXPORTER_OTLP_"


def given(endpoint: str, ratio: float | None = None, environment: Mapping[str, str] | None = None) -> Tracing | None:
    return Tracing.given(endpoint, ratio, environment or {})


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("c:4317", "http://c:4317"),
        ("http://c:4317", "http://c:4317"),
        ("http://c:4317/", "http://c:4317"),
        ("c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ("http://c:4318/tenant", "http://c:4318/tenant/v1/traces"),
        ("[::1]:4318", "http://[::1]:4318/v1/traces"),
        ("10.0.0.1:9999", "http://10.0.0.1:9999"),
    ],
)
def test_an_endpoint_tells_where_and_how(endpoint: str, url: str) -> None:
    tracing = given(endpoint)
    assert tracing
    assert tracing.url == url
    assert tracing.http is url.endswith("/v1/traces")


@pytest.mark.parametrize(
    "endpoint", ["c", "http://c", "https://c", "ftp://c:4317", "http://:4317", "c:99999", "unix:///socket", "://"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidSettings, match="--otlp-endpoint"):
        given(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "environment", "url"),
    [
        ("https://c:4317", {}, "https://c:4317"),
        ("https://c:4318", {}, "https://c:4318/v1/traces"),
        ("http://c:4317", {f"{OTLP}INSECURE": "false"}, "http://c:4317"),
        ("c:4317", {f"{OTLP}INSECURE": "False"}, "https://c:4317"),
        ("c:4317", {f"{OTLP}INSECURE": "true", f"{OTLP}TRACES_INSECURE": "false"}, "https://c:4317"),
        ("c:4317", {f"{OTLP}INSECURE": "true"}, "http://c:4317"),
    ],
)
def test_whether_spans_are_encrypted(tmp_path: Path, endpoint: str, environment: dict[str, str], url: str) -> None:
    authority, general = tmp_path / "authority.pem", tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    files = {f"{OTLP}TRACES_CERTIFICATE": str(authority), f"{OTLP}CERTIFICATE": str(general)}
    tracing = given(endpoint, None, {**environment, **files})
    assert tracing
    assert tracing.url == url
    assert (tracing.tls.authorities.path if tracing.tls else "") == (str(authority) if "https" in url else "")


def test_a_file_that_can_t_be_read_is_named() -> None:
    with pytest.raises(InvalidSettings, match=r"/nowhere\.pem can't be read"):
        given("https://c:4317", None, {f"{OTLP}CERTIFICATE": "/nowhere.pem"})


@pytest.mark.parametrize(
    ("endpoint", "environment"),
    [
        ("", {}),
        ("", {f"{OTLP}ENDPOINT": "https://c:4317", f"{OTLP}TRACES_ENDPOINT": "c", "OTEL_TRACES_SAMPLER": "always_on"}),
        ("c:4317", {"OTEL_SDK_DISABLED": "True"}),
        ("c:4317", {"OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_without_an_endpoint_or_switched_off_there_are_no_traces(endpoint: str, environment: dict[str, str]) -> None:
    assert given(endpoint, 1.0, environment) is None


@pytest.mark.parametrize(
    ("endpoint", "environment", "url"),
    [
        ("c:4317", {f"{OTLP}ENDPOINT": "http://d:4318", f"{OTLP}TRACES_ENDPOINT": "http://e:4318"}, "http://c:4317"),
        ("c:4317", {f"{OTLP}PROTOCOL": "http/protobuf"}, "http://c:4317/v1/traces"),
        ("c:4318", {f"{OTLP}PROTOCOL": "grpc"}, "http://c:4318"),
        ("c:4318", {f"{OTLP}PROTOCOL": "http/protobuf", f"{OTLP}TRACES_PROTOCOL": "grpc"}, "http://c:4318"),
        ("c:4318", {f"{OTLP}TRACES_PROTOCOL": " "}, "http://c:4318/v1/traces"),
    ],
)
def test_the_variables_of_the_exporter(endpoint: str, environment: dict[str, str], url: str) -> None:
    tracing = given(endpoint, None, environment)
    assert tracing
    assert tracing.url == url


@pytest.mark.parametrize(
    ("ratio", "environment", "expected"),
    [
        (None, {}, 1),
        (0.25, {"OTEL_TRACES_SAMPLER": "always_on"}, 0.25),
        (0.0, {}, 0),
        (None, {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 0),
        (None, {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 1),
        (None, {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, 0.1),
        (None, {"OTEL_TRACES_SAMPLER": "traceidratio"}, 1),
        (None, {"OTEL_TRACES_SAMPLER": "jaeger_remote"}, 1),
    ],
)
def test_the_share_of_traces(ratio: float | None, environment: dict[str, str], expected: float) -> None:
    tracing = given("c:4317", ratio, environment)
    assert tracing
    assert tracing.ratio == expected


@pytest.mark.parametrize(
    "environment",
    [
        {f"{OTLP}PROTOCOL": "http/json"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
    ],
)
def test_a_variable_that_makes_no_sense_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="OTEL_"):
        given("c:4317", None, environment)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"service": "extproc", "attributes": (), "headers": ()}),
        ({"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, {"service": "a", "attributes": ()}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=b, team=x%20y,broken,=no"},
            {"service": "b", "attributes": (("team", "x y"),)},
        ),
        ({f"{OTLP}HEADERS": "Api-Key=s%3D1,b=2"}, {"headers": (("api-key", "s=1"), ("b", "2"))}),
        ({f"{OTLP}HEADERS": "a=1", f"{OTLP}TRACES_HEADERS": "b=2"}, {"headers": (("b", "2"),)}),
    ],
)
def test_service_resource_and_headers(environment: dict[str, str], expected: dict[str, Any]) -> None:
    tracing = given("c:4317", None, environment)
    assert tracing
    assert {name: getattr(tracing, name) for name in expected} == expected
    assert tracing.envoy_service == f"{tracing.service}-envoy"
    assert not any(value in repr(tracing) for _, value in tracing.headers if len(value) > 1), "they may be secrets"


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"origins": ("extproc.example.com",)}, "--admin-origin"),
        ({"origins": ("https://a.example", "https://b.example/")}, "--admin-origin"),
        ({"origins": ("*",)}, "--admin-origin"),
        ({"jaeger_url": "localhost:16686"}, "--jaeger-url"),
        ({"jaeger_url": "javascript:alert(1)//"}, "--jaeger-url"),
    ],
)
def test_an_address_that_the_page_can_t_use_is_named(fields: dict[str, Any], flag: str) -> None:
    with pytest.raises(InvalidSettings, match=flag):
        Dashboard(**fields)


def test_addresses_that_the_page_can_use() -> None:
    Dashboard(origins=("https://extproc.example.com", "http://[::1]:8080"), jaeger_url="https://jaeger.example/ui/")
