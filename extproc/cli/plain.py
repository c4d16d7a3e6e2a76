"""Text from elsewhere, fit for a terminal: nothing in it can move the cursor, set a colour or begin a line."""


def plain(text: str) -> str:
    """`text` on one line; what is not printable is spelled as Python spells it in a literal. Total."""
    return "".join(c if c.isprintable() else _spelled(c) for c in " ".join(text.split()))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
