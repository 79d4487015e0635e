"""What CloudFormation makes of the template: SAM's transform, then conditions and functions.

The local cloud is kinder: CloudFormation refuses a reference to a resource that a condition leaves out.
"""

import copy
import itertools
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
# Each partition has a region here: ARNs and the ends of host names differ between them.
REGIONS = {
    "us-east-1": ("aws", "amazonaws.com"),
    "eu-central-1": ("aws", "amazonaws.com"),
    "ap-southeast-2": ("aws", "amazonaws.com"),
    "us-gov-west-1": ("aws-us-gov", "amazonaws.com"),
    "cn-north-1": ("aws-cn", "amazonaws.com.cn"),
}
ACCOUNT = "123456789012"
STACK_NAME = "a-stack"
LEFT_OUT = object()
"""What `AWS::NoValue` stands for."""

logging.getLogger("samtranslator").setLevel(logging.CRITICAL)

type Parameters = Mapping[str, str]


@cache
def source() -> dict[str, Any]:
    """The template as it is written."""
    found: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return found


def packaged(layer: str = "layer") -> dict[str, Any]:
    """The template as `sam package` leaves it: code is in a bucket, under a key that follows from the content."""
    template = copy.deepcopy(source())
    for name, resource in template["Resources"].items():
        for member, key in (("CodeUri", name), ("ContentUri", layer)):
            if member in resource.get("Properties", {}):
                resource["Properties"][member] = f"s3://artifacts/{key}"
    return template


def transform(template: dict[str, Any], parameters: Parameters, region: str = "us-east-1") -> dict[str, Any]:
    """Return what the transform AWS::Serverless makes of a packaged template; it changes its argument."""
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    found: dict[str, Any] = translator.translate(
        template, parameter_values=dict(parameters), get_managed_policy_map=dict
    )
    # As CloudFormation reads it: strings, lists and maps, and nothing of the translator's own.
    parsed: dict[str, Any] = json.loads(json.dumps(found))
    return parsed


def nodes(value: object) -> Iterator[object]:
    """Yield a value and everything in it."""
    yield value
    if isinstance(value, Mapping):
        for member in value.values():
            yield from nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from nodes(member)


def pairs(choices: Mapping[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    """Return sets of parameters in which every two choices meet in every way, the others being the first or last.

    A condition of the template looks at two parameters at most, and the set of all combinations would be hundreds.
    """
    found: dict[str, dict[str, str]] = {}
    for rest in (0, -1):
        fixed = {name: options[rest] for name, options in choices.items()}
        for one, other in itertools.combinations(choices, 2):
            for chosen in itertools.product(choices[one], choices[other]):
                members = {**fixed, one: chosen[0], other: chosen[1]}
                parameters = dict(itertools.chain.from_iterable(part.items() for part in members.values()))
                found[json.dumps(parameters, sort_keys=True)] = parameters
    return list(found.values())


@dataclass(frozen=True)
class Deployed:
    """A transformed template with the parameters and the region of one deployment."""

    template: Mapping[str, Any]
    parameters: Parameters
    region: str

    @classmethod
    def of(cls, parameters: Parameters, region: str = "us-east-1") -> "Deployed":
        return _deployed(tuple(parameters.items()), region)

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources that are made, with the functions worked out that need none of them."""
        return {
            name: self.value({key: part for key, part in resource.items() if key != "Condition"})
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    @property
    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = self.value(self.template["Outputs"])
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of each resource of a type."""
        return {
            name: resource["Properties"] for name, resource in self.resources.items() if resource["Type"] == kind
        }

    def references(self) -> set[str]:
        """Every resource that something which is made refers to or waits for."""
        found: set[str] = set()
        for part in nodes([self.resources, self.outputs]):
            if isinstance(part, Mapping):
                found |= self._named_by(part)
        return found

    @staticmethod
    def _named_by(part: Mapping[str, Any]) -> set[str]:
        match part:
            case {"Ref": str(name)}:
                return {name}
            case {"Fn::GetAtt": [str(name), *_]}:
                return {name}
            case {"DependsOn": str(name)}:
                return {name}
            case {"DependsOn": [*names]}:
                return set(names)
            case {"Fn::Sub": [str(text), {**own}]}:
                return {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if name not in own}
        return set()

    def holds(self, condition: str) -> bool:
        return self._is(self.template["Conditions"][condition])

    def _is(self, expression: Any) -> bool:  # noqa: ANN401 - a part of a template
        ((function, argument),) = expression.items()
        match function:
            case "Fn::Equals":
                return str(self.value(argument[0])) == str(self.value(argument[1]))
            case "Fn::Not":
                return not self._is(argument[0])
            case "Fn::And":
                return all(self._is(one) for one in argument)
            case "Fn::Or":
                return any(self._is(one) for one in argument)
            case "Condition":
                return self.holds(argument)
        raise NotImplementedError(function)

    def value(self, node: Any) -> Any:  # noqa: ANN401 - a part of a template
        """Work functions out; a reference to a resource stays as it is."""
        if isinstance(node, list):
            return [one for one in map(self.value, node) if one is not LEFT_OUT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            worked_out = self._worked_out(function, argument)
            if worked_out is not None:
                return worked_out
        members = {key: self.value(part) for key, part in node.items()}
        return {key: part for key, part in members.items() if part is not LEFT_OUT}

    def _worked_out(self, function: str, argument: Any) -> Any:  # noqa: ANN401 - a part of a template
        """Return the value of a function; None if it is none, or needs a resource."""
        found = None
        match function, argument:
            case "Ref", str(name):
                found = self._known.get(name)
            case "Fn::If", [condition, yes, no]:
                found = self.value(yes if self.holds(condition) else no)
            case "Fn::Select", [index, [*values]]:
                found = self.value(values[int(index)])
            case "Fn::FindInMap", [mapping, first, second]:
                found = self.template["Mappings"][mapping][self.value(first)][self.value(second)]
            case "Fn::Sub", _:
                found = self._substituted(argument)
            case "Fn::Join", [separator, [*parts]]:
                joined = [self.value(part) for part in parts]
                if all(isinstance(part, str) for part in joined):
                    found = separator.join(joined)
        return found

    def _substituted(self, argument: Any) -> Any:  # noqa: ANN401 - a part of a template
        text, own = (argument, {}) if isinstance(argument, str) else argument
        known = self._known | own

        def fill(found: re.Match[str]) -> str:
            value = self.value(known.get(found[1], found[0]))
            return value if isinstance(value, str) else found[0]

        filled = re.sub(r"\$\{([^!}]+)\}", fill, text)
        return {"Fn::Sub": [filled, self.value(own)]} if "${" in filled else filled

    @cached_property
    def _known(self) -> dict[str, Any]:
        partition, suffix = REGIONS[self.region]
        defaults = {name: str(parameter["Default"]) for name, parameter in self.template["Parameters"].items()}
        return {
            **defaults,
            **self.parameters,
            "AWS::Partition": partition,
            "AWS::URLSuffix": suffix,
            "AWS::Region": self.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": STACK_NAME,
            "AWS::NoValue": LEFT_OUT,
        }


@cache
def _deployed(parameters: tuple[tuple[str, str], ...], region: str) -> Deployed:
    return Deployed(transform(packaged(), dict(parameters), region), dict(parameters), region)
