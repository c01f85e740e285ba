"""A MutatingAdmissionPolicy, carried out by Google's CEL engine as the API server would.

`Object` and `JSONPatch` are types of Kubernetes alone; here they are maps. Their names are checked against the place
they are at, as the API server does.
"""

import re
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from tests.kubernetes.inject.pods import Json, applied

_UNITS = {"m": 0.001, "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_TYPED = re.compile(r"\b(Object(?:\.\w+)*|JSONPatch)\{")
_FIELD = re.compile(r"(?<=[{ ])([A-Za-z]\w*): ")


class MisplacedType(Exception):
    """An Object type is not named for the field that it is in."""


def _quantity(text: str) -> float:
    [(number, unit)] = re.findall(r"^(\d+)(\D*)$", text)
    return float(number) * _UNITS[unit]


def _compare(one: float, other: float) -> int:
    return (one > other) - (one < other)


@cache
def _environment() -> Any:
    return cel.NewEnv(
        variables=dict.fromkeys(("object", "variables", "request"), cel.Type.DYN),
        extensions=[ext_strings.ExtStrings()],
        functions=[
            cel.FunctionDecl(
                "quantity",
                [cel.Overload("quantity_string", cel.Type.DOUBLE, [cel.Type.STRING], False, _quantity)],
            ),
            cel.FunctionDecl(
                "compareTo",
                [cel.Overload("compare", cel.Type.INT, [cel.Type.DOUBLE, cel.Type.DOUBLE], True, _compare)],
            ),
        ],
    )


@cache
def _compiled(expression: str) -> Any:
    return _environment().compile(_as_maps(expression))


def _as_maps(expression: str) -> str:
    """Write messages of Kubernetes' types as maps: `Object.spec{a: 1}` is `{"a": 1}`."""
    check_types(expression)
    parts = re.split(r'("(?:[^"\\]|\\.)*")', expression)  # leaves strings alone
    return "".join(part if i % 2 else _FIELD.sub(r'"\1": ', _TYPED.sub("{", part)) for i, part in enumerate(parts))


def check_types(expression: str) -> None:
    """Raise MisplacedType where a nested type is not `<outer type>.<field>`."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    for match in re.finditer(r"\b(\w+): \[?(Object(?:\.\w+)+)\{", text):
        field, name = match.groups()
        before = text[: match.start()]
        depth, outer = 0, ""
        for found in reversed(list(re.finditer(r"(Object(?:\.\w+)*|JSONPatch)?([{}])", before))):
            if found[2] == "}":
                depth += 1
            elif depth:
                depth -= 1
            else:
                outer = found[1] or ""
                break
        if outer.startswith("Object") and name != f"{outer}.{field}":
            raise MisplacedType(f"{field} of {outer} is {name}")


def _value(expression: str, pod: Json, variables: dict[str, Any]) -> Any:
    data = {"object": pod, "variables": variables, "request": {}}
    return _compiled(" ".join(expression.split("\n"))).eval(data=data).plain_value()


def mutated(policy: Json, pod: Json) -> Json:
    """Return what the policy makes of a pod that its binding selects."""
    spec = policy["spec"]
    for condition in spec["matchConditions"]:
        if not _value(condition["expression"], pod, {}):
            return pod
    variables: dict[str, Any] = {}
    for variable in spec["variables"]:
        try:
            variables[variable["name"]] = _value(variable["expression"], pod, variables)
        except RuntimeError:  # read only by who asks first whether it may be read, as the API server is lazy
            continue
    for mutation in spec["mutations"]:
        assert mutation["patchType"] == "JSONPatch"
        pod = applied(pod, _value(mutation["jsonPatch"]["expression"], pod, variables))
    return pod
