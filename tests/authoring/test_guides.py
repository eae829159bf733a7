"""The guides in docs/guides, followed to the letter: every shell block is run, the change in the diff block is made.

Between them they use each template: what `perfhost plugin new` makes builds, tests itself, is accepted and serves.
"""

import subprocess

import pytest
from shell import ROOT, Shell, blocks, commands

LANGUAGES = ["rust", "c", "javascript", "python"]
NAME = "my-strategy"


def guide(language):
    return (ROOT / "docs" / "guides" / f"write-a-strategy-in-{language}.md").read_text()


def component(language, folder):
    built = f"target/wasm32-unknown-unknown/release/{NAME.replace('-', '_')}.wasm" if language == "rust" else f"{NAME}.wasm"
    return folder / built


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_leads_to_a_strategy_in_service(language, tmp_path, serve, answered, keep):
    shell, host = Shell(tmp_path), None
    for kind, block in blocks(guide(language)):
        if kind == "sh":
            shell.run(block)
            shell.lend_crates()
        elif kind == "console":
            # What the reader starts in a terminal of its own; the first version is the one that others measure.
            assert block == f"perfhost --plugin {component(language, shell.folder).relative_to(shell.folder)}\n"
            keep(component(language, shell.folder), language)
            host = serve("--plugin", str(component(language, shell.folder)))
            answered(host, NAME)
            shell.environment["PERFHOST_HOST"] = host.url
        elif kind == "diff":
            subprocess.run(["git", "apply", "--unidiff-zero", "-"], input=block, cwd=shell.folder, text=True, check=True)
        else:
            raise AssertionError(f"a block in {kind}, which nobody runs:\n{block}")
    # The last command of the guide takes the first version back.
    answered(host, NAME)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_readme_of_a_project_gives_the_commands_of_the_guide(language, tmp_path):
    Shell(tmp_path).run(f"perfhost plugin new --lang {language} {NAME}")
    missing = set(commands((tmp_path / NAME / "README.md").read_text())) - set(commands(guide(language)))
    assert not missing, missing
