"""The built layer: its byte code is the runtime's and is used, and nothing that the functions need is missing."""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack.deployment import ARCHITECTURE, Deployment

pytestmark = pytest.mark.stack

CHECKOUT = Path(__file__).resolve().parents[2]
UNCHECKED_HASH = 0b01
"""PEP 552: a hash of the source, which is not compared with it."""
FUNCTIONS = {
    "credential_api": "CredentialApi",
    "oauth_callback": "OAuthCallback",
    "setup_page": "SetupPage",
    "token_refresh": "TokenRefresh",
}
LARGEST_LAYER = 30_000_000
"""Bytes, unpacked: a part of each cold start is to load it."""
# As in a new execution environment, and then everything that is made only when it is first used.
EVERYTHING = """
import json, sys
sys.path[:0] = sys.argv[1:]
import handler
from xero_connector import bootstrap
clients = bootstrap.AwsClients.of_this_account(bootstrap.observer())
made = [clients.dynamodb.meta, clients.secrets_manager.meta, clients.kms().meta, clients.events().meta]
import xero_connector.adapters.authlib_authorize_endpoint, xero_connector.adapters.authlib_token_endpoint
import xero_connector.adapters.joserfc_id_tokens, xero_connector.adapters.kms_seal
import xero_connector.adapters.requests_xero_connections, xero_connector.adapters.timed_transport
import xero_connector.web.pages.rendering
xero_connector.web.pages.rendering.assets()
import boto3
boto3.client("dynamodb"), boto3.client("secretsmanager")
origins = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(json.dumps([origin for origin in origins if origin.startswith(sys.argv[2])]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("built")
    return Deployment(checkout=CHECKOUT, directory=directory, report=lambda _: None).build().parent


@pytest.fixture
def layer(built: Path) -> Path:
    return built / "SharedLayer" / "python"


def sources(layer: Path) -> list[Path]:
    return sorted(layer.rglob("*.py"))


def test_every_module_has_byte_code_of_the_runtime_that_is_never_compared_with_its_source(layer: Path) -> None:
    assert len(sources(layer)) > 500
    for source in sources(layer):
        header = Path(importlib.util.cache_from_source(str(source))).read_bytes()[:8]
        assert header == importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little"), source


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_from_byte_code_alone(layer: Path, built: Path, tmp_path: Path, function: str) -> None:
    copy = tmp_path / "python"
    shutil.copytree(layer, copy)
    for source in sources(copy):
        source.write_text("raise ImportError('compiled anew')\n")
    done = subprocess.run(  # noqa: S603 - the runtime's Python with our own files
        [f"{sys.base_prefix}/bin/python3.13", "-I", "-B", "-c", EVERYTHING, built / FUNCTIONS[function], copy],
        env={
            "AWS_DEFAULT_REGION": "us-east-1",
            "POWERTOOLS_METRICS_NAMESPACE": "test",
            "POWERTOOLS_SERVICE_NAME": function,
            "PATH": os.defpath,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 400


def test_the_layer_is_small(layer: Path) -> None:
    assert sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) <= LARGEST_LAYER


def test_the_layer_holds_the_packages_that_are_locked_and_says_which(layer: Path) -> None:
    locked = re.findall(
        r"^([\w-]+)==(\S+)", (CHECKOUT / "layers/shared/requirements.txt").read_text(), re.MULTILINE
    )
    found = {path.parent.name for path in layer.glob("*.dist-info/METADATA")}
    assert found == {f"{name.replace('-', '_')}-{version}.dist-info" for name, version in locked}


def make(architecture: str, artifacts: Path, *variables: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own Makefile
        [
            "/usr/bin/env",
            "make",
            "--silent",
            "-f",
            "../../Makefile",
            f"ARTIFACTS_DIR={artifacts}",
            *variables,
            "build-SharedLayer",
        ],
        cwd=CHECKOUT / "layers" / "wheels" / architecture,
        env={**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_wheels_are_those_of_the_processor_that_was_asked_for(tmp_path: Path) -> None:
    (other,) = set(ARCHITECTURE.values()) - {ARCHITECTURE[platform.machine().lower()]}
    done = make(other, tmp_path, path=f"{CHECKOUT}/.tools/sam/bin")
    assert done.returncode == 0, done.stderr
    compiled = list((tmp_path / "python").rglob("*.cpython-313-*.so"))
    assert compiled
    machine = {"arm64": "aarch64"}.get(other, other)
    assert all(machine in path.name for path in compiled)


def test_another_version_of_python_than_the_runtime_s_compiles_nothing(tmp_path: Path) -> None:
    (tmp_path / "python3.99").symlink_to(sys.executable)
    done = make("arm64", tmp_path / "layer", "RUNTIME=3.99", path=str(tmp_path))
    assert done.returncode
    assert "Python 3.99, the version that the functions run on, is not on PATH" in done.stderr
    assert not (tmp_path / "layer").exists()
