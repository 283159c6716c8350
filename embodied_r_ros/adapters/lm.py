"""What a language model is to this package, and the loop that lets one think about a question.

`core.reasoning.answer` is a generator that yields requests and takes replies: the protocol is pure, and `drive` is the
only place where it meets a model that must be waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from embodied_r_ros.adapters.side_by_side import all_or_none
from embodied_r_ros.core.errors import EmbodiedRError
from embodied_r_ros.core.records import Answer, Completion, Generation

OnText = Callable[[str], None]


class LanguageModel(Protocol):
    """A model that continues a chat: behind HTTP, or in this process."""

    @property
    def name(self) -> str:
        """The model's id, as answers report it."""

    async def probe(self) -> None:
        """Make sure that the model can be used, and load what is needed for it.

        Raises:
            BackendError: it cannot; the message names the remedy.
        """

    async def ping(self) -> None:
        """See cheaply whether the model is still there.

        Raises:
            BackendError: it is not.
        """

    async def generate(self, request: Generation, on_text: OnText | None = None) -> Completion:
        """Continue the chat.

        Args:
            request: what to say to the model, and how to sample.
            on_text: called in the event loop with each new piece of text, thinking included, as it comes.

        Raises:
            BackendError: the model did not do its part.
            ReplyError: what came back is not a reply.
        """

    async def aclose(self) -> None:
        """Let go of connections, threads and memory."""


async def drive(
    steps: Generator[list[Generation], list[Completion], Answer], lm: LanguageModel, on_text: OnText | None = None
) -> Answer:
    """Run a reasoning generator against a model: the requests of one step side by side, the steps in turn.

    Args:
        steps: from `core.reasoning.answer`.
        lm: the model that does the thinking.
        on_text: gets the pieces of the first thought as it is streamed; votes beside it and later steps are not
        streamed.

    Raises:
        InputError, UnsupportedQuestion, BackendError, ReplyError: as the generator and the model raise them; one
            request that fails ends those beside it.
    """
    try:
        requests = next(steps)
        while True:
            try:
                completions = await _generate_all(requests, lm, on_text)
            except EmbodiedRError as error:
                requests = steps.throw(error)
            else:
                requests = steps.send(completions)
            on_text = None
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer
    finally:
        steps.close()


async def _generate_all(requests: Sequence[Generation], lm: LanguageModel, on_text: OnText | None) -> list[Completion]:
    if len(requests) == 1:
        return [await lm.generate(requests[0], on_text)]
    return await all_or_none(
        lm.generate(request, on_text if position == 0 else None) for position, request in enumerate(requests)
    )
