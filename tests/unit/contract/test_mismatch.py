import pytest

from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.errors import MalformedMessageError
from support.build import make_entity


@pytest.mark.parametrize(
    ("name", "namespace", "fields"), [("web", "shop", "name"), ("web", "pay", "namespace and name")]
)
def test_a_message_about_another_entity_says_in_which_fields_it_differs(name: str, namespace: str, fields: str) -> None:
    entity = make_entity()
    other = (
        entity.ref.subject("entity", source=entity.source)
        .replace(entity.ref.name, name)
        .replace(".shop.", f".{namespace}.")
    )
    with pytest.raises(MalformedMessageError, match=f"expected the {fields} of its subject {other}, found another$"):
        ENTITY.decode(encode(entity), subject=other)


@pytest.mark.parametrize("of", ["the name", "the source"])
def test_a_message_about_another_entity_than_the_known_one_of_its_subject_is_refused(of: str) -> None:
    known = make_entity()
    other = make_entity("other") if of == "the name" else make_entity(source="docker")
    subject = known.ref.subject("entity", source=known.source)

    assert ENTITY.decode(encode(known), subject=subject, known=known) == known
    with pytest.raises(MalformedMessageError, match="found another"):
        ENTITY.decode(encode(other), subject=subject, known=known)
