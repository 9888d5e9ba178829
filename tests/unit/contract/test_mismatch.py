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
