"""Reading and writing YAML by the rules of YAML 1.2, with duplicate keys as an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from diffsim.errors import InputError


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """SafeLoader with the booleans and numbers of YAML 1.2 and without duplicate keys.

    YAML 1.1 reads ``1e-5`` as text, and the molecule or species ``NO`` as false.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{key.value}' is given twice in the same mapping",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """SafeDumper that also quotes the text that :class:`_Loader` would read as a number."""


_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_REPLACED_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    InputError
        If the file cannot be read or is not YAML; the message names file and line.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise InputError(f"The file '{path}' does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The file '{path}' cannot be read as text: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"Line {error.problem_mark.line + 1} of "
        raise InputError(
            f"{line}'{path}' is not YAML: {error.problem or error.context}."
        ) from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"'{path}' is not YAML: {reason}.") from error


def write_yaml(data: dict[str, Any]) -> str:
    """Text of a YAML file that holds ``data``, with the keys in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False)
    return text
