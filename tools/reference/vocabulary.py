"""The vocabulary → docs/reference/vocabulary.md: kinds, kinds of connections, figures, attributes."""

from collections.abc import Iterable

from kgents_shared.contract.vocabulary import attributes, figures
from kgents_shared.contract.vocabulary.attributes.attribute import Attribute
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS
from kgents_shared.contract.vocabulary.figures.figure import Figure
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.contract.vocabulary.reasons import REASONS
from reference.markdown import code, page, table


def document() -> str:
    """A table for each part of the vocabulary."""
    return page(
        "Vocabulary",
        "The names in entities and pulses that services of this release publish. Each set is open: a newer service, "
        "or a program of your own, may publish names that are not listed.",
        "## Kinds",
        table(
            ("kind", "plural", "short", "meaning"),
            ((code(each.name), code(each.plural), _codes(each.short_names), each.meaning) for each in KINDS.values()),
        ),
        "## Kinds of connections",
        table(("connection", "meaning"), ((code(each.name), each.meaning) for each in CONNECTION_KINDS.values())),
        "## Reasons of events",
        "Those that our collectors detect or name themselves. Kubernetes Events, JetStream advisories and causes of "
        "databases that cannot be read bring their own.",
        table(("reason", "meaning"), ((code(each.name), each.meaning) for each in REASONS.values())),
        "## Figures",
        "What pulses measure. Units are UCUM: `1` is a ratio, `{answer}` 1 for yes and 0 for no, `By` bytes, any other "
        "`{…}` a count. "
        "`null`, or a figure left out, is not known, which is not zero. The first part of a name is the field of the "
        "pulse that holds it. Parts in braces vary.",
        *(
            f"### {heading}\n\n{table(('figure', 'unit', 'kinds', 'source', 'meaning'), map(_figure, declared))}"
            for heading, declared in figures.FIELDS.items()
        ),
        "## Attributes",
        "What entities and connections carry. A name is that of "
        "[OpenTelemetry's registry](https://opentelemetry.io/docs/specs/semconv/registry/) where it has one, of an "
        "attribute or a metric, with the registry's meaning. What it has no name for begins with `kgents.`.",
        *(f"### {heading}\n\n{_attributes(declared)}" for heading, declared in attributes.FIELDS.items()),
    )


def _figure(figure: Figure) -> tuple[str, ...]:
    name = f"{figure.section}.{figure.name}" if figure.section else figure.name
    kinds = _codes(figure.kinds) or "any kind"
    return code(name), code(figure.unit), kinds, ", ".join(figure.sources), figure.meaning


def _attributes(declared: Iterable[Attribute]) -> str:
    rows = [(code(each.name), each.meaning) for each in declared]
    if not any(meaning for _, meaning in rows):
        return ", ".join(name for name, _ in rows)
    return table(("attribute", "meaning"), rows)


def _codes(words: Iterable[str]) -> str:
    return ", ".join(code(word) for word in words)
