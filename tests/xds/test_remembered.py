"""What is remembered, and for how long."""

from extproc.xds.remembered import Remembered


def test_what_is_in_use_is_computed_once_and_the_rest_is_forgotten_after_a_round() -> None:
    computed: list[tuple[int, str]] = []

    @Remembered
    def joined(number: int, text: str) -> str:
        computed.append((number, text))
        return f"{number}{text}"

    for round_number in range(4):
        assert joined(1, "a") == joined(1, "a") == "1a"
        if round_number in {0, 1, 3}:
            assert joined(2, "b") == "2b"
        joined.end_round()
    # 2b was not asked for in round 2, so it was gone in round 3.
    assert computed == [(1, "a"), (2, "b"), (2, "b")]

    joined.forget()
    assert joined(1, "a") == "1a"
    assert len(computed) == 4


def test_an_empty_result_is_a_result() -> None:
    calls = []

    @Remembered
    def nothing(number: int) -> None:
        calls.append(number)

    nothing(1)
    nothing.end_round()
    nothing(1)
    assert calls == [1]
