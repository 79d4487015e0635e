import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Credentials:
    """An IAM user's access key in the local cloud."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class FunctionNames:
    """The names that CloudFormation gave the functions."""

    credential_api: str
    oauth_callback: str
    setup_page: str
    token_refresh: str


@dataclass(frozen=True)
class StackDescription:
    """What stack.json says: all that it takes to use a running stack."""

    api_url: str
    callback_url: str
    xero_url: str
    aws_endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    table_name: str
    secret_prefix: str
    event_bus: str
    functions: FunctionNames

    @property
    def portal_url(self) -> str:
        """Where the simulator's developer portal begins."""
        return f"{self.xero_url}/app/manage"

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key_id, self.secret_access_key)

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old one or the new one, whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(json.dumps(asdict(self), indent=2) + "\n")
        aside.chmod(0o600)
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        values = json.loads(path.read_text())
        return cls(**{**values, "functions": FunctionNames(**values["functions"])})
