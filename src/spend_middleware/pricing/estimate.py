"""Counting tokens ourselves: for callers who ask, and for calls whose provider sent no usage.

Nothing here runs on an event loop of the host. Estimates say how they were made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import structs

from spend_middleware.call import Usage
from spend_middleware.pricing import tool_texts
from spend_middleware.pricing.pictures import picture_tokens
from spend_middleware.pricing.prompts import Prompt, message_of, prompt_of
from spend_middleware.pricing.vocabulary import Vocabulary, load, vocabulary_of

if TYPE_CHECKING:
    import tiktoken

log = logging.getLogger("spend_middleware.pricing")

PIECE = 4096
"""Characters encoded at once. tiktoken is more than linear in a run without a break, and panics on a million blanks."""

SAMPLED_ABOVE = 1_000_000
"""Characters beyond which evenly spread pieces are counted and the rest is taken to be like them."""

SAMPLES = 244

PER_MESSAGE = 3
REPLY = 3
"""Tokens around each message and before the reply (OpenAI cookbook, "How to count tokens with tiktoken")."""

# Whose usage counts no frame around messages: Google's countTokens and Cohere's billed units are of the text alone.
UNFRAMED = ("gemini", "command")


class Missing(NamedTuple):
    """Which counts of a usage are missing, and why."""

    input: bool
    output: bool
    reason: str


BROKE_OFF = Missing(input=False, output=True, reason="the stream broke off")


class TokenCounter:
    """Counts the tokens of texts; a vocabulary is loaded when it is first needed, once, and never fetched.

    Args:
        folder: Where the vocabularies are; those of the package when None.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        self._folder = folder
        self._encodings: dict[str, tiktoken.Encoding | None] = {}
        self._lock = threading.Lock()

    def count(self, text: str, model: str = "") -> int:
        """Return the tokens of a text for a model: by its vocabulary, or by characters if that cannot be loaded."""
        if not text:
            return 0
        encoding = self._encoding(model)
        if encoding is None:
            return count_characters(text)
        if len(text) > SAMPLED_ABOVE:
            return _sampled(text, encoding)
        return sum(_encoded(piece, encoding) for piece in pieces(text))

    def method(self, model: str = "") -> str:
        """Return how texts are counted for a model: "vocabulary" or "characters"."""
        return "characters" if self._encoding(model) is None else "vocabulary"

    def _encoding(self, model: str) -> tiktoken.Encoding | None:
        name = vocabulary_of(model)
        if name in self._encodings:
            return self._encodings[name]
        with self._lock:
            if name not in self._encodings:
                try:
                    self._encodings[name] = _built(load(name, self._folder))
                except (ImportError, OSError, ValueError, KeyError) as error:
                    log.warning("Tokens are counted by characters, as %s cannot be loaded: %s", name, error)
                    self._encodings[name] = None
            return self._encodings[name]


_bundled = TokenCounter()


def count_text(text: str, model: str = "") -> int:
    """Return the tokens of a text for a model, by the bundled vocabularies."""
    return _bundled.count(text, model)


def pieces(text: str) -> Sequence[str]:
    """Return a text cut into pieces of at most `PIECE` characters, at the last blank of each where there is one."""
    if len(text) <= PIECE:
        return (text,)
    found, at = [], 0
    while at < len(text):
        end = at + PIECE
        if end < len(text):
            blank = text.rfind(" ", at + 1, end)
            end = blank if blank > 0 else end
        found.append(text[at:end])
        at = end
    return found


def _sampled(text: str, encoding: tiktoken.Encoding) -> int:
    step = len(text) / SAMPLES
    spread = [text[int(n * step) : int(n * step) + PIECE] for n in range(SAMPLES)]
    counted = sum(_encoded(piece, encoding) for piece in spread)
    return round(counted * len(text) / sum(map(len, spread)))


def _encoded(piece: str, encoding: tiktoken.Encoding) -> int:
    try:
        # `encode` refuses text that looks like a special token; users may write whatever they like.
        return len(encoding.encode_ordinary(piece))
    except UnicodeEncodeError:
        return len(encoding.encode_ordinary(piece.encode("utf-8", "replace").decode()))
    except BaseException as error:
        # A panic in tiktoken's Rust is a BaseException; all others are the interpreter's own and go on.
        if type(error).__name__ != "PanicException" and not isinstance(error, Exception):
            raise
        return count_characters(piece)


def count_characters(text: str) -> int:
    """Return a rough count without any vocabulary: a quarter of ASCII, 0.7 of CJK, 0.35 of other characters."""
    plain = len(text.encode("ascii", "ignore"))
    cjk = (
        sum("\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" for c in text) if plain < len(text) else 0
    )
    return max(1, round(plain / 4 + 0.7 * cjk + 0.35 * (len(text) - plain - cjk)))


def count_messages(
    messages: Sequence[Mapping[str, Any]],
    model: str = "",
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
) -> int:
    """Return the prompt tokens of chat messages in OpenAI's or Anthropic's shape."""
    prompt = Prompt([message_of(m) for m in messages], tools=tools or (), tool_choice=tool_choice)
    return _count_chat(prompt, model, "", "completion")


def _count_chat(prompt: Prompt, model: str, provider: str, operation: str) -> int:
    bare = model.rpartition("/")[2].lower()
    framed = not bare.startswith(UNFRAMED)
    total = REPLY if framed else 0
    for message in prompt.messages:
        total += sum(count_text(text, model) for text in message.texts)
        total += sum(picture_tokens(picture, bare) for picture in message.pictures)
        if framed:
            total += PER_MESSAGE + count_text(message.role, model)
        if message.name:
            total += count_text(message.name, model) + 1
    total += tool_texts.hidden_tokens(bare, provider, operation, prompt.tools)
    if prompt.tools:
        total += _count_tools(prompt, bare)
    return total + _count_choice(prompt.tool_choice, model)


def _count_tools(prompt: Prompt, model: str) -> int:
    if "claude" in model or model.startswith(UNFRAMED):
        return count_text(tool_texts.as_json(prompt.tools), model)
    with_system = any(message.role == "system" for message in prompt.messages)
    return count_text(tool_texts.as_types(prompt.tools), model) + 9 - (4 if with_system else 0)


def _count_choice(choice: Any, model: str) -> int:
    if choice == "none":
        return 1
    if not isinstance(choice, Mapping):
        return 0
    function = choice.get("function")
    name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
    return 7 + count_text(str(name), model) if name else 0


def estimate_usage(
    operation: str,
    model: str,
    content: Mapping[str, Any] | None,
    visible_text: Callable[[], str] | None,
    *,
    provider: str = "",
    reported: Usage | None = None,
    missing: Missing = BROKE_OFF,
) -> tuple[Usage, str] | None:
    """Return the counted usage of a call whose provider sent none or not all, and how it was counted.

    Hidden reasoning cannot be seen, so the output of a reasoning model is a lower bound.

    Args:
        operation: LiteLLM's call type.
        content: The request's JSON.
        visible_text: Gives the text of the answer.
        provider: LiteLLM's name of who answered; some add text of their own to a prompt.
        reported: What the provider did report; only what is missing in it is then counted.
        missing: What that is.

    Returns:
        None when there is nothing to count.
    """
    method = _bundled.method(model)
    if reported is not None:
        counts: dict[str, Any] = {}
        if missing.input:
            if content is None:
                return None
            counted = _count_prompt(prompt_of(content, operation), model, provider, operation)
            counts["input_tokens"] = max(counted, reported.input_tokens)
        if missing.output:
            if visible_text is None:
                return None
            counts["output_tokens"] = max(count_text(visible_text(), model), reported.output_tokens)
        sides = " and ".join(name.removesuffix("_tokens") for name in counts)
        return (
            structs.replace(reported, **counts, total_tokens=None),
            f"{sides} estimated by {method}: {missing.reason}",
        )
    output = count_text(visible_text(), model) if visible_text is not None else 0
    if content is None:
        return None
    count = _count_prompt(prompt_of(content, operation), model, provider, operation)
    if not count and not output:
        return None
    note = f"estimated by {method}"
    if output and operation in ("completion", "responses", "generate_content"):
        note += "; hidden reasoning, if any, is not in it"
    return Usage(input_tokens=count, output_tokens=output), note


def _count_prompt(prompt: Prompt, model: str, provider: str, operation: str) -> int:
    count = prompt.token_ids + sum(count_text(text, model) for text in prompt.texts)
    if prompt.messages or prompt.tools:
        count += _count_chat(prompt, model, provider, operation)
    return count


def _built(vocabulary: Vocabulary) -> tiktoken.Encoding:
    # Never `tiktoken.get_encoding`: without its cache it downloads, without a time limit.
    import tiktoken

    return tiktoken.Encoding(
        name=vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=vocabulary.ranks,
        special_tokens=vocabulary.special,
    )
