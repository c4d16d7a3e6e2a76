"""Envoy's words without what it must not tell; the messages are those of Envoy 1.40."""

import pytest

from extproc.xds.redacted import redacted

KEY = """goo.gle/debugstr
name: "own"
transport_socket {
  typed_config {
    [type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext] {
      common_tls_context { tls_certificates { private_key { inline_string: "-----BEGIN \\"KEY\\nSECRET" } } }
    }
  }
}
load_assignment {
}
: Proto constraint validation failed (ClusterValidationError.LoadAssignment: embedded message failed validation)"""


def test_a_dumped_resource_keeps_its_name_and_the_reason_but_no_secret() -> None:
    told = redacted(KEY)
    assert "SECRET" not in told
    assert 'private_key { inline_string: "…" }' in told
    assert told.startswith('name: "own" transport_socket {')
    assert told.endswith("ClusterValidationError.LoadAssignment: embedded message failed validation)")


def test_a_dump_that_is_cut_off_tells_no_secret_either() -> None:
    assert redacted('goo.gle/debugonly password { inline_string: "SECR') == 'password { inline_string: "…"'


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "Error adding/updating cluster(s) own: no EDS config\n",
            "Error adding/updating cluster(s) own: no EDS config",
        ),
        ("Invalid duration: Expected: goo.gle/debugonly  \nseconds: -1", "Invalid duration: Expected: seconds: -1"),
        ("missing ): (", "missing ): ("),
        ("load error: [string \"local key = 'SECRET'...\"]:1: no", "load error: line 1: no"),
        ("load error: line 2: unfinished string near ''SECRET'", "load error: line 2: unfinished string near …"),
        ("load error: line 2: '=' expected near 'SECRET'", "load error: line 2: '=' expected near …"),
        (
            "Incorrect configuration: Bearer SECRET. No%BAD(. Couldn't find valid command at position 13",
            "Incorrect configuration: …. Couldn't find valid command at position 13",
        ),
        ("Duplicated credential key: 'SECRET'", "Duplicated credential key: …"),
        ("Incorrect configuration: Bearer SECRET", "Incorrect configuration: …"),
        ("", ""),
    ],
)
def test_everything_else_is_told_in_one_line(message: str, told: str) -> None:
    assert redacted(message) == told
