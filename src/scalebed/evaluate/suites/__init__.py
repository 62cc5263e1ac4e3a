"""Multiple-choice tasks built from plain text, for models too small for published benchmarks.

Every item asks which of K versions of a sentence is the original one. Each choice is the changed
spot together with the unchanged rest of the sentence, so that the summed log-likelihood of a
choice compares whole sentences.
"""

from scalebed.evaluate.suites.forms import AGREE, INFLECT
from scalebed.evaluate.suites.item import Task
from scalebed.evaluate.suites.spans import CONTINUATION, ORDER, PHRASE, SWAP
from scalebed.evaluate.suites.words import CONTENT, FUNCTION, LASTWORD

BUILDERS: dict[str, Task] = {
    task.name: task
    for task in (AGREE, INFLECT, CONTENT, LASTWORD, PHRASE, ORDER, FUNCTION, SWAP, CONTINUATION)
}
"""Tasks by name, in the order in which they take sentences: those that fit few come first."""

__all__ = ["BUILDERS", "Task"]
