"""Every check has a page that an operator can work with, and every command on it exists."""

import re
from collections import Counter

import click

from kgents_cli.app import kgents
from reference.runbook import CHECKS, UNWRITTEN
from support.runbook import FOLDER, PAGES, commands, of_tool

TOOLS = frozenset(
    [
        "awk",
        "cat",
        "chronyc",
        "crictl",
        "curl",
        "df",
        "dmesg",
        "docker",
        "du",
        "find",
        "free",
        "grep",
        "head",
        "iostat",
        "iotop",
        "ip",
        "journalctl",
        "jq",
        "kgents",
        "kubectl",
        "ls",
        "lsof",
        "nats",
        "nc",
        "openssl",
        "pg_isready",
        "ping",
        "ps",
        "psql",
        "redis-cli",
        "sed",
        "sort",
        "ss",
        "sysctl",
        "systemctl",
        "systemd-cgtop",
        "tail",
        "timedatectl",
        "uniq",
        "wc",
    ]
)
"""What an operator has, or gets from the distribution."""
KUBECTL = frozenset(
    [
        "auth",
        "get",
        "describe",
        "logs",
        "top",
        "rollout",
        "set",
        "create",
        "delete",
        "drain",
        "uncordon",
        "cordon",
        "edit",
        "patch",
        "exec",
    ]
)
NATS = {
    "stream": {"info", "report", "edit", "purge", "rmm", "get"},
    "consumer": {"info", "report", "edit", "rm"},
    "server": {"raft", "check"},
    "sub": {">"},
}
EXAMPLE = {"KIND": "pod", "NAMESPACE": "shop"}
"""In place of words in capitals; any other one is a name."""
SECTIONS = re.compile(r"\n## (\w+)\n\n(.*?)(?=\n## |\Z)", re.DOTALL)


def sections(page: str) -> dict[str, str]:
    return dict(SECTIONS.findall(page))


def test_every_check_has_a_page_and_no_page_is_left_over() -> None:
    assert set(PAGES) == {check.id for check in CHECKS}


def test_a_page_says_how_to_confirm_and_how_to_fix() -> None:
    found = {check: sections(page) for check, page in PAGES.items()}
    assert [check for check, parts in found.items() if list(parts) != ["Confirm", "Fix"]] == []
    assert [check for check, page in PAGES.items() if not commands(page) and "```sql" not in page] == []
    assert [check for check, parts in found.items() if len(parts["Fix"].split()) < 15] == []
    assert [check for check, page in PAGES.items() if UNWRITTEN in page] == []


def test_no_two_pages_give_the_same_advice() -> None:
    """What two checks have in common is linked, not repeated."""
    paragraphs = Counter(each for page in PAGES.values() for each in sections(page)["Fix"].split("\n\n"))
    repeated = [each for each, count in paragraphs.items() if count > 1 and not each.startswith("```")]
    assert [each for each in repeated if len(each.split()) > 12] == []


def test_each_command_names_a_tool_that_there_is() -> None:
    found = [(check, words[0]) for check, page in PAGES.items() for words in commands(page)]
    assert [(check, tool) for check, tool in found if tool not in TOOLS] == []
    assert len(found) > 300


def without_options(words: list[str]) -> list[str]:
    """The words of kubectl without those before its verb: `-n NAMESPACE`."""
    return words[3:] if words[1] == "-n" else words[1:]


def test_each_command_of_kubectl_and_nats_has_a_verb_of_its() -> None:
    of_kubectl = [words for page in PAGES.values() for words in of_tool(page, "kubectl")]
    of_nats = [words for page in PAGES.values() for words in of_tool(page, "nats")]
    assert [words for words in of_kubectl if without_options(words)[0] not in KUBECTL] == []
    assert [words for words in of_nats if words[2] not in NATS.get(words[1], ())] == []


def why_not_understood(words: list[str]) -> str:
    """What the `kgents` command says against it; empty: nothing."""
    command: click.Command = kgents
    context = click.Context(kgents, info_name="kgents", **kgents.context_settings)  # its help option is kept
    while isinstance(command, click.Group) and words and (sub := command.get_command(context, words[0])):
        command, words = sub, words[1:]
    if command is kgents:
        return "no such command"
    given = [re.sub(r"\b[A-Z]{2,}\b", lambda found: EXAMPLE.get(found[0], "a"), word) for word in words]
    try:
        if given:  # else a sentence only names the command
            command.make_context("kgents", given, parent=context)
    except click.ClickException as error:
        return error.format_message()
    return ""


def test_each_kgents_command_is_understood() -> None:
    found = [(check, words) for check, page in PAGES.items() for _, *words in of_tool(page, "kgents")]
    refused = [(check, words, why) for check, words in found if (why := why_not_understood(words))]
    assert refused == []


def test_each_link_leads_to_a_file_and_each_number_to_a_check() -> None:
    targets = [each for page in PAGES.values() for each in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page)]
    assert [each for each in targets if not (FOLDER / each).exists()] == []
    assert {number for page in PAGES.values() for number in re.findall(r"KG-\d{3}", page)} <= set(PAGES)
