"""The template as a deployer's parameters make it: conditions, references and rules."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STACK_NAME = "xero-connector"
_PSEUDO = {
    "AWS::StackName": STACK_NAME,
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
_NO_VALUE = object()

type Node = Any
"""Whatever stands in a template."""


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as the long ones."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Node:
    argument: Node
    if isinstance(node, yaml.ScalarNode):
        argument = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        argument = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(argument, str):
        argument = argument.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": argument}


_Loader.add_multi_constructor("!", _long_form)


@cache
def source() -> Mapping[str, Node]:
    found: Mapping[str, Node] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return found


class Stack:
    """The resources of a deployment. A reference to a resource is the resource's logical id."""

    def __init__(self, **parameters: str) -> None:
        declared = source()["Parameters"]
        assert parameters.keys() <= declared.keys()
        self.parameters = {name: str(one["Default"]) for name, one in declared.items()} | parameters

    def resources(self, kind: str) -> dict[str, Node]:
        """Return the properties of each resource of a type that is deployed, by its logical id."""
        return {
            name: self.resolve(resource["Properties"])
            for name, resource in source()["Resources"].items()
            if resource["Type"] == kind and self.is_deployed(name)
        }

    def is_deployed(self, name: str) -> bool:
        condition = source()["Resources"][name].get("Condition")
        return condition is None or self.condition(condition)

    def environment_of(self, function: str) -> dict[str, str]:
        """Return what a function finds in its environment, as far as it is about metrics."""
        everywhere = source()["Globals"]["Function"]["Environment"]["Variables"]
        own = source()["Resources"][function]["Properties"]["Environment"]["Variables"]
        variables = {**everywhere, **own}
        return {name: value for name, value in variables.items() if name.startswith("POWERTOOLS_")}

    def refusals(self) -> list[str]:
        """Return what CloudFormation says before it does anything, for each rule that these parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in source()["Rules"].values()
            if self.resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def condition(self, name: str) -> bool:
        return bool(self.resolve(source()["Conditions"][name]))

    def resolve(self, node: Node) -> Node:
        if isinstance(node, list):
            resolved = [self.resolve(one) for one in node]
            return [one for one in resolved if one is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function in {"Ref", "Condition"} or function.startswith("Fn::"):
                return self._call(function, argument)
        resolved_members = {name: self.resolve(one) for name, one in node.items()}
        return {name: one for name, one in resolved_members.items() if one is not _NO_VALUE}

    def _call(self, function: str, argument: Node) -> Node:  # noqa: PLR0911 - one line a function
        match function:
            case "Ref":
                return self._ref(argument)
            case "Condition":
                return self.condition(argument)
            case "Fn::If":
                return self.resolve(argument[1 if self.condition(argument[0]) else 2])
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::And":
                return all(self.resolve(one) for one in argument)
            case "Fn::Or":
                return any(self.resolve(one) for one in argument)
            case "Fn::GetAtt":
                return argument[0]
            case "Fn::Sub":
                return self._sub(argument)
        raise NotImplementedError(function)

    def _ref(self, name: str) -> Node:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        assert name in source()["Resources"] or name in _PSEUDO, name
        return _PSEUDO.get(name, name)

    def _sub(self, text: str) -> str:
        before, *pieces = text.split("${")
        resolved = [before]
        for piece in pieces:
            name, _, after = piece.partition("}")
            resolved += [str(self._ref(name.partition(".")[0])), after]
        return "".join(resolved)


def dimensions(declared: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the dimensions of an alarm as EMF and the dashboard write them."""
    return {one["Name"]: one["Value"] for one in declared}
