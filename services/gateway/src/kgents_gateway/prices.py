"""The file of prices → a price list, read at the start."""

from pathlib import Path

import msgspec

from kgents_shared.runtime.ini import UnusableFileError
from kgents_shared.runtime.yaml_file import read_yaml
from kgents_shared.view.cost.prices import PriceList, parsed


def price_list(file: str) -> PriceList:
    """The prices of a file.

    Raises:
        ValueError: it cannot be read, or states something else.
    """
    try:
        content, faults = read_yaml(Path(file))
        if faults:
            raise ValueError(str(faults[0]))
        return parsed(content)
    except (UnusableFileError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None
