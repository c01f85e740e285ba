"""What the documents say is there: links, commands with their options, and keys of configuration files."""

import argparse
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from sidecar.cli import COMMANDS
from sidecar.config import Config, parse
from sidecar.http import webconfig
from tests.paths import ROOT

NOT_OURS = {"build", "dist"}


def documents() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not any(part.startswith(".") or part in NOT_OURS for part in parts):
            yield path


TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in documents()}
FENCED = re.compile(r"(?ms)^( *)```(\w*)\n(.*?)^\1```$")


def blocks(text: str, language: str) -> list[str]:
    return [textwrap.dedent(block) for _, found, block in FENCED.findall(text) if found == language]


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for title in re.findall(r"(?m)^#{1,6} +(.+?)[ #]*$", FENCED.sub("", text)):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_relative_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)[^)]*\)", FENCED.sub("", TEXTS[name])):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"model-sidecar {command}")
    import_module(f"sidecar.cli.{command.replace('-', '_')}").add_arguments(parser)
    return parser


PARSERS = {command: parser_of(command) for command in COMMANDS}


def options(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Yield the spellings of every option, those of subcommands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subcommand in action.choices.values():
                yield from options(subcommand)
        elif action.option_strings and action.dest != "help":
            yield list(action.option_strings)


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `model-sidecar …` in the blocks of shell."""
    for line in "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines():
        if not re.search(r"(^|[|;&(] *|-- )[\w./]*\bmodel-sidecar ", line.strip()):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] | None = None
        before = ";"
        for word in [*lexer, ";"]:
            begins = before == "--" or set(before) <= set(";&|()")
            if words is not None and set(word) <= set(";&|()<>"):
                yield words
                words = None
            elif words is not None:
                words.append(word)
            elif begins and word.rpartition("/")[2] == "model-sidecar":
                words = []
            before = word


LINES = [(name, words) for name, text in TEXTS.items() for words in command_lines(text)]


@pytest.mark.parametrize(("name", "words"), LINES, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_commands_are_understood(name: str, words: list[str]) -> None:
    try:
        PARSERS[words[0]].parse_args(words[1:])
    except (KeyError, SystemExit):
        pytest.fail(f"{name}: model-sidecar {' '.join(words)}")


def test_commands_in_sentences_have_options_that_are_there() -> None:
    known = {command: {o for spellings in options(parser) for o in spellings} for command, parser in PARSERS.items()}
    for name, text in TEXTS.items():
        for command, rest in re.findall(r"`model-sidecar ([a-z][\w-]*)([^`]*)`", FENCED.sub("", text)):
            assert command in known, f"{name}: model-sidecar {command}"
            unknown = set(re.findall(r"(?<!\S)--[\w.-]+", rest)) - known[command] - {"--help"}
            assert not unknown, f"{name}: model-sidecar {command}: {unknown}"


@pytest.mark.parametrize("command", PARSERS)
def test_every_option_is_in_the_documents(command: str) -> None:
    text = "\n".join(text for name, text in TEXTS.items() if name != "CHANGELOG.md")
    missing = [
        spellings
        for spellings in options(PARSERS[command])
        if not any(re.search(rf"(?<![\w.-]){re.escape(option)}(?![\w-]|\.\w)", text) for option in spellings)
    ]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "docs/configuration.md"])
def test_configurations_of_the_sidecar_are_allowed(name: str) -> None:
    """A block that begins with the name of another file, such as `# prometheus.yml`, is not for the sidecar."""
    found = [b for b in blocks(TEXTS[name], "yaml") if re.match(r"# (?!sidecar\.yml)\S+\.ya?ml\b", b) is None]

    assert found
    for block in found:
        parse(block, Path(name))


def keys(kind: inspect.Type) -> set[str]:
    """Return the keys of a struct and of all that it holds."""
    if isinstance(kind, inspect.StructType):
        return {f.encode_name for f in kind.fields} | {key for f in kind.fields for key in keys(f.type)}
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return keys(kind.item_type)
    if isinstance(kind, inspect.DictType):
        return keys(kind.value_type)
    if isinstance(kind, inspect.UnionType):
        return {key for each in kind.types for key in keys(each)}
    return set()


@pytest.mark.parametrize(
    ("struct", "name"), [(Config, "docs/configuration.md"), (webconfig.Settings, "docs/web-configuration.md")]
)
def test_every_key_is_in_the_document(struct: type[msgspec.Struct], name: str) -> None:
    found = keys(inspect.type_info(struct))

    assert len(found) > 5
    assert {key for key in found if not re.search(rf"\b{key}(:|`)", TEXTS[name])} == set()


def test_every_test_that_the_promises_name_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXTS["docs/reliability.md"])
    assert len(named) > 15
    for path, name in named:
        assert re.search(rf"(?m)^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8")), f"{path}::{name}"


def test_the_places_where_threats_are_tried_are_there() -> None:
    found = re.findall(r"`(tests/[\w/.]+)`", TEXTS["SECURITY.md"])

    assert len(found) > 10
    assert [place for place in found if not (ROOT / place).exists()] == []
