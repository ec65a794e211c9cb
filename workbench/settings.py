"""Where things are and how the server listens: flags, then WORKBENCH_* variables, then defaults.

Leaves out what belongs to a project (`store.projects`).
"""

import ipaddress
import socket
from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
DEMO = CHECKOUT / "data" / "demo"
EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 nothing is bound here


def default_home() -> Path:
    """`data/` of a checkout, else the user's data folder."""
    if (CHECKOUT / "launch.py").exists():
        return CHECKOUT / "data"
    return Path(platformdirs.user_data_dir("workbench", appauthor=False))


class Settings(BaseSettings):
    """Settings of one server. Read once at start, then only passed on."""

    model_config = SettingsConfigDict(env_prefix="WORKBENCH_", frozen=True)

    home: Path = default_home()
    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    testing: bool = False

    @property
    def loopback(self) -> bool:
        """Only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the server."""
        return self._at(EVERY.get(self.host, self.host))

    @property
    def team_url(self) -> str:
        """Where the browsers of others find it, as far as they can."""
        return self._at(own_address() if self.host in EVERY else self.host)

    def _at(self, host: str) -> str:
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def own_address() -> str:
    """The address of this machine in its network, or its name when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # only chooses a way: nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
