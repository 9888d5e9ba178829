"""A report → the tables of an HTML document. Pure."""

from typing import Final

from kgents_cli.availability.report import Report
from kgents_cli.availability.text import GROUPS, OBJECTIVES, budget_row, counted_rows, group_row
from kgents_cli.html import Table
from kgents_cli.html import document as document_of

_MEANING: Final = (
    "Available: healthy or warning, as a share of the time that was observed and not planned. "
    "What was not observed is neither available nor down."
)


def document(report: Report, since: str, until: str) -> str:
    """The document."""
    tables = [
        *([Table("Objectives", OBJECTIVES, [*map(budget_row, report.budgets)])] if report.budgets else []),
        Table(f"By {report.by}", (report.by.upper(), *GROUPS), [*map(group_row, report.groups)]),
        Table("Workloads changed most often", ("WORKLOAD", "CHANGES"), counted_rows(report.changes)),
        Table("Alerts that fired most often", ("ALERT", "TIMES"), counted_rows(report.noisiest)),
    ]
    return document_of("Availability", f"{since} to {until}", _MEANING, tables, report.remarks)
