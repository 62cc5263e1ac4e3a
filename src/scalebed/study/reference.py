"""What a study file may hold, as a JSON schema for editors and as a table for people.

Both are generated from the typed model in `scalebed.study.trained`, `sections` and `fit_sections`,
which alone declares keys, limits and meanings.
"""

import ast
import functools
import inspect
import itertools
import json
from pathlib import Path
from typing import Any

from scalebed.core import arithmetic
from scalebed.core.cells import NAME
from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_text
from scalebed.study.hardware import Hardware
from scalebed.study.imported import ImportedStudy
from scalebed.study.search import SearchStudy
from scalebed.study.sections import RecipeValues, Strict
from scalebed.study.trained import Study

SCHEMA_PATH = Path("workflow/schemas/config.schema.json")
IMPORT_SCHEMA_PATH = Path("workflow/schemas/import.schema.json")
SEARCH_SCHEMA_PATH = Path("workflow/schemas/search.schema.json")
REFERENCE_PATH = Path("config/README.md")
BEGIN = "<!-- begin of the reference, written by `scalebed write-schema` -->"
END = "<!-- end of the reference -->"

# The values of a recipe stand in the table of `Recipe`, which has them all.
_PARTIAL = "RecipeValues"
_LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
_WORDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}


def study_schema() -> dict[str, Any]:
    """Return the JSON schema of a study file."""
    schema = _with_recipe_values(_schema(Study))
    # The model checks this by code, which the generator cannot see.
    sizes = schema["properties"]["sizes"]
    named = {key: sizes.pop(key) for key in list(sizes) if key not in ("description", "title")}
    sizes["anyOf"] = [{"enum": sorted(arithmetic.SIZE_TABLES)}, named]
    return _finished(schema, "scalebed study")


def import_schema() -> dict[str, Any]:
    """Return the JSON schema of a study file that imports its cells."""
    return _finished(_schema(ImportedStudy), "scalebed study of imported cells")


def hardware_schema() -> dict[str, Any]:
    """Return the JSON schema of a hardware file."""
    return _finished(_schema(Hardware), "scalebed hardware")


def search_schema() -> dict[str, Any]:
    """Return the JSON schema of a study file that searches for hyper-parameters."""
    schema = _with_recipe_values(_schema(SearchStudy))
    return _finished(schema, "scalebed hyper-parameter search")


def _with_recipe_values(schema: dict[str, Any]) -> dict[str, Any]:
    """Say what the replacements at single sizes may be, which the model checks by code."""
    definitions = schema["$defs"]
    definitions["RecipeValues"] = _schema(RecipeValues)
    values = definitions["Recipe"]["properties"]["sizes"]["patternProperties"]
    values[f"^{NAME}$"] = {"$ref": "#/$defs/RecipeValues"}
    return schema


def _finished(schema: dict[str, Any], title: str) -> dict[str, Any]:
    _strict(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _schema(model: type[Strict]) -> dict[str, Any]:
    """Return the JSON schema of a model, with what its source says of every key."""
    schema = model.model_json_schema()
    # Others may have sections of the same names.
    ours = [found for found in _sections(Strict) if found.__module__.startswith("scalebed.")]
    known = {section.__name__: section for section in ours}
    for name, part in [(model.__name__, schema), *schema.get("$defs", {}).items()]:
        for key, spec in part["properties"].items():
            described = spec | {"description": _meaning(known[name], key)}
            part["properties"][key] = dict(sorted(described.items()))
    return schema


def _sections(model: type[Strict]) -> list[type[Strict]]:
    """Return all sections that are kinds of one."""
    return [found for own in model.__subclasses__() for found in (own, *_sections(own))]


def _meaning(section: type[Strict], key: str) -> str:
    """Return what is said of a key in the class that the section has it from."""
    for declared in section.__mro__:
        if declared.__module__.partition(".")[0] == "scalebed" and key in _meanings(declared):
            return _meanings(declared)[key]
    raise ScalebedError(f"{section.__name__}.{key} has no description")


@functools.cache
def _meanings(declared: type) -> dict[str, str]:
    """Return the strings below the keys of a class."""
    (body,) = ast.parse(inspect.getsource(declared)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, said in itertools.pairwise(body.body):
        match field, said:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


def _strict(node: Any) -> None:
    """Forbid names that do not match their pattern, and drop titles that repeat the key."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        if isinstance(node.get("title"), str):
            del node["title"]
        for child in node.values():
            _strict(child)
    elif isinstance(node, list):
        for child in node:
            _strict(child)


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """Return the reference of all keys: one Markdown table a section."""
    parts: list[str] = []
    seen: list[str] = []
    for title, schema in (
        ("A study", study_schema()),
        ("An imported study", import_schema()),
        ("A search", search_schema()),
        ("A hardware file", hardware_schema()),
    ):
        parts.append(_section(title, schema))
        pending = _references(schema["properties"])
        while pending:
            name = pending.pop(0)
            if name in seen or name == _PARTIAL:
                continue
            seen.append(name)
            part = schema["$defs"][name]
            parts.append(_section(name, part))
            pending = _references(part["properties"]) + pending
    return "\n".join(parts)


def _references(node: Any) -> list[str]:
    """Return the sections that a part of the schema points to, in order."""
    if isinstance(node, dict):
        found = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
        return found + [name for child in node.values() for name in _references(child)]
    if isinstance(node, list):
        return [name for child in node for name in _references(child)]
    return []


def _section(title: str, part: dict[str, Any]) -> str:
    lines = [f"### {title}", "", part["description"].partition("\n")[0], ""]
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, spec in part["properties"].items():
        default = "**required**" if key in part.get("required", []) else _default(spec)
        meaning = " ".join(spec["description"].split()).replace("<", "&lt;").replace("|", "&#124;")
        lines.append(f"| `{key}` | {_type(spec)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(spec: dict[str, Any]) -> str:
    value = spec.get("default")
    # A section's own table shows its defaults; here they would repeat it in JSON.
    if value is None or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value)}`"


def _type(spec: dict[str, Any]) -> str:
    """Return a short description of the values a schema allows."""
    if "$ref" in spec:
        name = spec["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != _PARTIAL else "some of these keys"
    if "anyOf" in spec:
        kinds = [_type(kind) for kind in spec["anyOf"] if kind.get("type") != "null"]
        return ", or ".join(kinds)
    if "enum" in spec or "const" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    if spec.get("type") == "array":
        if spec.get("minItems") == spec.get("maxItems") == 2:
            return "[lowest, highest]"
        return f"list of {_type(spec['items'])}"
    if "patternProperties" in spec:
        (value,) = spec["patternProperties"].values()
        return f"name: {_type(value)}"
    if spec.get("type") == "object":
        return "mapping"
    if "pattern" in spec:
        return "name"
    limits = [f"{sign} {spec[key]:g}" for key, sign in _LIMITS.items() if key in spec]
    word = _WORDS.get(str(spec.get("type")), "any value")
    return f"{word} {', '.join(limits)}" if limits else word


def with_reference(text: str) -> str:
    """Return the text of ``config/README.md`` with today's reference between its markers.

    Raises
    ------
    ScalebedError
        If the markers are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ScalebedError(f"{REFERENCE_PATH} lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def generated(root: Path) -> dict[Path, str]:
    """Return the generated files with the text they should have.

    Parameters
    ----------
    root
        The repository.

    Raises
    ------
    ScalebedError
        If ``config/README.md`` is missing or has no markers.
    """
    readme = root / REFERENCE_PATH
    if not readme.is_file():
        raise ScalebedError(f"{readme} does not exist; run this in the root of the repository")
    text = readme.read_text(encoding="utf-8")
    return {
        root / SCHEMA_PATH: _text(study_schema()),
        root / IMPORT_SCHEMA_PATH: _text(import_schema()),
        root / SEARCH_SCHEMA_PATH: _text(search_schema()),
        readme: with_reference(text),
    }


def write_generated(root: Path) -> None:
    """Write schema and reference."""
    for path, text in generated(root).items():
        write_text(path, text)


def check_generated(root: Path) -> None:
    """Compare schema and reference with the typed model.

    Raises
    ------
    ScalebedError
        If one of them is missing or differs.
    """
    for path, text in generated(root).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ScalebedError(f"{path} is out of date: run `make schema` and commit it")
