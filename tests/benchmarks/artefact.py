"""The built artefact: each function's folder, the layer, and the environment that the template gives."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.stack.deployment import Deployment
from local.stack.progress import print_progress
from tests.benchmarks.fleet import BUS, KEY_ARN, TABLE

CHECKOUT = Path(__file__).resolve().parents[2]
_RESOURCES = {
    "Registry": TABLE,
    "EventBus": BUS,
    "VaultKey": KEY_ARN,
    "VaultKey.Arn": KEY_ARN,
    "AWS::StackName": "benchmark",
}
_SUFFIXES = {"token_refresh": "TokenRefresh", "credential_api": "CredentialApi", "oauth_callback": "OAuthCallback"}


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: `!Ref X` is `{"Ref": "X"}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True, slots=True)
class Artefact:
    """What `sam build` made, copied so that no byte code of an earlier run is in it."""

    layer: Path
    functions: Mapping[str, Path]
    template: Mapping[str, Any]

    def environment(self, function: str, **overrides: str) -> dict[str, str]:
        """Return the variables that the template gives a function, its parameters at their defaults."""
        own = self.template["Resources"][_SUFFIXES[function]]["Properties"]["Environment"]["Variables"]
        shared = self.template["Globals"]["Function"]["Environment"]["Variables"]
        return {name: self._value(value) for name, value in {**shared, **own}.items()} | overrides

    @property
    def memory_size(self) -> Mapping[str, int]:
        """MB for each function."""
        shared = self.template["Globals"]["Function"]["MemorySize"]
        resources = self.template["Resources"]
        return {
            name: resources[logical_id]["Properties"].get("MemorySize", shared)
            for name, logical_id in _SUFFIXES.items()
        }

    def _value(self, value: object) -> str:
        if not isinstance(value, dict):
            return str(value)
        name = value.get("Ref") or value.get("GetAtt") or _chosen(value)
        if name in self.template["Parameters"]:
            return str(self.template["Parameters"][name]["Default"])
        return _RESOURCES[str(name)]


def _chosen(value: Mapping[str, Any]) -> str:
    """Return what `!If [MakesVaultKey, …]` comes to at the defaults."""
    condition, then, _ = value["If"]
    if condition != "MakesVaultKey":
        raise KeyError(condition)
    return str(then["GetAtt"])


def build(directory: Path, *, root_certificate: Path) -> Artefact:
    """Build with the SAM CLI, and have the copy's certificate bundle trust the benchmark's root."""
    directory.mkdir(parents=True, exist_ok=True)
    built = Deployment(checkout=CHECKOUT, directory=directory, report=print_progress()).build().parent
    layer = directory / "layer" / "python"
    shutil.copytree(built / "SharedLayer" / "python", layer)
    bundle = layer / "certifi" / "cacert.pem"
    bundle.write_bytes(bundle.read_bytes() + root_certificate.read_bytes())
    functions = {}
    for name, logical_id in _SUFFIXES.items():
        functions[name] = directory / "functions" / name
        shutil.copytree(built / logical_id, functions[name])
    return Artefact(layer, functions, yaml.load((CHECKOUT / "template.yaml").read_text(), _Loader))  # noqa: S506 - a safe one


def python() -> Path:
    """Return the interpreter without any environment: the runtime of a function has only the layer."""
    return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
