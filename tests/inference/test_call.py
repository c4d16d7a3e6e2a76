"""What can be called, and where."""

import pytest

from extproc.inference.call import base_url, model_name


@pytest.mark.parametrize("name", ["iris", "iris-ab.experiment", "p.pipeline", "Resnet_50~v1.2"])
def test_a_model_is_called_by_what_can_stand_in_a_path(name: str) -> None:
    assert model_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "iris\n", "%69ris", "é", "x" * 201])
def test_what_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't stand in a path"):
        model_name(name)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://LOCALHOST:9000/", "http://localhost:9000"),
        ("https://gateway.example/Envoy/", "https://gateway.example/Envoy"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_urls(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:9000",
        "localhost",
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://a:0",
        "http://a?x=1",
        "http://a#x",
        "http://a b",
        "http://ä",
        "http://[::1",
        "http://user:hunter2@a",
        "http://hunter2@a:x",
    ],
)
def test_what_is_no_url_is_refused_without_a_password(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        base_url(text)
    assert "hunter2" not in str(refused.value)
