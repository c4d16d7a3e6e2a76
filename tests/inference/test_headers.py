"""Headers given are read strictly; headers shown hold no credentials, and neither do messages."""

import pytest

from extproc.inference.headers import HIDDEN, header, without_secrets


def test_a_header_is_a_name_and_a_value() -> None:
    assert header("X-Team: iris: a") == ("x-team", "iris: a")
    assert header("x-empty:") == ("x-empty", "")


@pytest.mark.parametrize(
    "text",
    [
        "Bearer hunter2",
        ": hunter2",
        "two words: hunter2",
        "x-a: hunter2\r\nx-b: 1",
        "x-a: hunter2\0",
        "Content-Length: hunter2",
        "seldon-model: hunter2",
    ],
)
def test_what_is_no_header_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        header(text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "Set-Cookie",
        "x-api-key",
        "apikey",
        "api_key",
        "X-Auth-Token",
        "x-amz-security-token",
        "x-auth",
        "X-Client-Secret",
        "x-password",
        "x-session-id",
        "x-goog-iam-authorization-token",
        "x-jwt-payload",
    ],
)
def test_credentials_are_hidden(name: str) -> None:
    assert list(without_secrets([(name, "hunter2")])) == [(name, HIDDEN)]


def test_a_value_that_looks_like_credentials_is_hidden_whatever_its_name() -> None:
    assert list(without_secrets([("x-forward", "Bearer hunter2")])) == [("x-forward", HIDDEN)]


@pytest.mark.parametrize(
    "name", ["x-seldon-route", "seldon-model", "x-request-id", "content-type", "traceparent", "x-author", "host"]
)
def test_all_else_is_shown(name: str) -> None:
    assert list(without_secrets([(name, ":iris_1:"), (name, "2")])) == [(name, ":iris_1:"), (name, "2")]
