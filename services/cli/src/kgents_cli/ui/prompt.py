"""One line in which something is typed: a filter, a command, the reason of a silence."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from kgents_cli.ui.bars import Bar
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.part import Part


class Prompt(Horizontal):
    """Hidden until something is asked."""

    DEFAULT_CSS: ClassVar[str] = """
    Prompt { height: 1; display: none; }
    Prompt.open { display: block; }
    Prompt Input { height: 1; border: none; padding: 0; width: 1fr; }
    """

    def __init__(self, ink: Ink) -> None:
        super().__init__(id="prompt")
        self.is_open = False
        self.label = Bar(ink, id="label")
        self.input = Input(compact=True, select_on_focus=False)
        self._submit: Callable[[str], None] = lambda _: None
        self._change: Callable[[str], None] | None = None

    @property
    def is_changing(self) -> bool:
        """Whether what is typed acts already."""
        return self._change is not None

    def compose(self) -> ComposeResult:
        """A label and a line."""
        yield self.label
        yield self.input

    def on_mount(self) -> None:
        """A cursor that blinks draws all the time."""
        self.input.cursor_blink = False

    def ask(
        self, label: str, text: str, submit: Callable[[str], None], change: Callable[[str], None] | None = None
    ) -> None:
        """Ask; `submit` gets what was typed, `change` also what is typed so far."""
        self.is_open = True
        self._submit, self._change = submit, change
        self.label.styles.width = min(len(label), max(1, self.app.size.width - 20))
        self.label.show([Part(label, "accent")])
        self.input.value = text
        self.input.cursor_position = len(text)
        self.add_class("open")
        self.screen.set_focus(self.input)  # at once: what is typed or pasted right behind the key belongs here

    def close(self) -> None:
        """Ask nothing any more."""
        self.is_open = False
        self._change = None
        self.remove_class("open")

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter acts while it is typed."""
        event.stop()
        if self._change is not None:
            self._change(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        event.stop()
        submit = self._submit
        self.close()
        submit(event.value)
