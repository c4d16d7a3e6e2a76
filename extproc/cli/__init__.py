"""Arguments in, text out."""


def main() -> None:
    """The `extproc` command."""
