"""The schedule of a backup as a pattern, so that what cron cannot read is refused at once. Pure."""

from typing import Final


def _field(number: str, names: str = "") -> str:
    value = f"({number}{'|' + names if names else ''})"
    part = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?"
    return f"{part}(,{part})*"


_MONTHS: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS: Final = "SUN|MON|TUE|WED|THU|FRI|SAT"
CRON: Final = "^(@(hourly|daily|weekly|monthly|yearly)|{})$".format(
    " ".join(
        (
            _field("[1-5]?[0-9]"),
            _field("1?[0-9]|2[0-3]"),
            _field("[1-9]|[12][0-9]|3[01]"),
            _field("[1-9]|1[0-2]", _MONTHS),
            _field("[0-6]", _DAYS),
        )
    )
)
"""Five fields of cron in their bounds, or one of its names."""
