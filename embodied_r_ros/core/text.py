"""Text from outside (servers, peers, askers, signs in the world), made fit to be published, logged and prompted."""

from __future__ import annotations

import re

# Lone surrogates break UTF-8, NUL ends a string in C, and the other control characters rewrite terminals.
_SURROGATE = re.compile('[\ud800-\udfff]')
_CONTROL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]')
# What chat templates put between turns; a server turns these words into tokens that end a turn or begin another one.
_TEMPLATE_TOKEN = re.compile(
    r'<\|[A-Za-z0-9_]{1,40}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>', re.ASCII
)

# What would end a name in phrases, quotes, JSON, markup or chat templates.
_NO_NAME = re.compile(r'[\s;:"\u201c\u201d`<>{}\[\]|\\]+')
LONGEST_NAME = 48


def clean(text: str) -> str:
    """The text without what breaks messages, logs and prompts.

    Lone surrogates become U+FFFD, control characters go (tabs and line breaks stay), and each chat-template token, such
    as '<|im_end|>', becomes a blank, so that what stands around it cannot join to another one. Takes linear time.
    """
    if text.isascii() and text.isprintable() and '<' not in text and '[' not in text:
        return text
    text = _CONTROL.sub('', _SURROGATE.sub('\ufffd', text))
    return _TEMPLATE_TOKEN.sub(' ', text)


def foreign_name(text: str) -> str:
    """A name for a thing from text that others wrote, such as a sign, a model or a detector: one line, without what
    would end a name where it is quoted, at most 48 characters; '' where nothing is left.
    """
    # What is cut off is not looked at, so that a long text takes no long time.
    words = _NO_NAME.sub(' ', clean(text[: 8 * LONGEST_NAME]))
    return words.strip(" .,'-_/").strip()[:LONGEST_NAME].strip()
