"""What is behind the widgets: nothing of it is drawn, since they cover it."""

from textual.containers import Horizontal
from textual.screen import Screen


class Backdrop(Screen[None]):
    """Holds all of them."""

    BLANK = True


class Beside(Horizontal):
    """Holds the list and the description."""

    BLANK = True
