"""The built artefact: each function's folder, the layer, and the environment that the template gives."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.stack.deployment import Deployment
from local.stack.progress import print_progress
from tests.benchmarks.fleet import BUS, KEY_ARN, TABLE
from tests.template.transformed import Deployed

CHECKOUT = Path(__file__).resolve().parents[2]
_RESOURCES = {"TABLE_NAME": TABLE, "EVENT_BUS_NAME": BUS, "KMS_KEY_ARN": KEY_ARN}
_LOGICAL_IDS = {
    "token_refresh": "TokenRefresh",
    "credential_api": "CredentialApi",
    "oauth_callback": "OAuthCallback",
    "setup_page": "SetupPage",
}


@dataclass(frozen=True, slots=True)
class Artefact:
    """What `sam build` made, copied so that no byte code of an earlier run is in it."""

    layer: Path
    functions: Mapping[str, Path]

    def environment(self, function: str, **overrides: str) -> dict[str, str]:
        """Return the variables that the template gives a function, its parameters at their defaults."""
        properties = Deployed.of({}).resources[_LOGICAL_IDS[function]]["Properties"]
        return {**properties["Environment"]["Variables"], **_RESOURCES, **overrides}


def build(directory: Path, *, root_certificate: Path) -> Artefact:
    """Build with the SAM CLI, and have the copy's certificate bundle trust the benchmark's root."""
    directory.mkdir(parents=True, exist_ok=True)
    built = Deployment(checkout=CHECKOUT, directory=directory, report=print_progress()).build().parent
    layer = directory / "layer" / "python"
    shutil.copytree(built / "SharedLayer" / "python", layer)
    bundle = layer / "certifi" / "cacert.pem"
    bundle.write_bytes(bundle.read_bytes() + root_certificate.read_bytes())
    functions = {}
    for name, logical_id in _LOGICAL_IDS.items():
        functions[name] = directory / "functions" / name
        shutil.copytree(built / logical_id, functions[name])
    return Artefact(layer, functions)


def python() -> Path:
    """Return the interpreter without any environment: the runtime of a function has only the layer."""
    return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
