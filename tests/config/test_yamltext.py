import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.config.yamltext import key_text, plain_value, read_yaml

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("ä漢"))


def _problems(text: str) -> list[tuple[int, int, str, str]]:
    return [(p.line, p.column, p.key, p.message) for p in read_yaml(text).problems]


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "True", "FALSE", "Null"])
def test_only_true_false_and_null_are_more_than_text(word: str) -> None:
    assert plain_value(word) == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0644", "0644"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        (".inf", ".inf"),
        ("1e3", 1000.0),
        ("0.01", 0.01),
        ("-7", -7),
        ("0", 0),
        ("9" * 5000, "9" * 5000),
        ("true", True),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_are_what_they_look_like_and_the_rest_is_text(text: str, value: object) -> None:
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)


def test_quotes_make_text_of_anything() -> None:
    assert read_yaml("""a: "true"\nb: '5'\nc: |\n  7\n""").value == {
        "a": "true",
        "b": "5",
        "c": "7\n",
    }


def test_a_key_is_text_whatever_it_looks_like() -> None:
    assert read_yaml("on: 1\n5: 2\ntrue: 3\n").value == {"on": 1, "5": 2, "true": 3}


def test_a_duplicate_key_is_told_where_it_stands_and_the_first_counts() -> None:
    tree = read_yaml("a: 1\nb:\n  c: 2\n  c: {x: [3]}\na: 4\n")
    assert tree.value == {"a": 1, "b": {"c": 2}}
    assert [(p.line, p.column, p.key, p.message) for p in tree.problems] == [
        (4, 3, "b.c", "is given twice, first in line 3"),
        (5, 1, "a", "is given twice, first in line 1"),
    ]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    problems = _problems("\n".join(lines))
    assert len(problems) == 110
    assert problems[0] == (
        2,
        10,
        "a1[0]",
        "aliases (*name) are not read here: write the value out",
    )


def test_tags_second_documents_and_keys_that_are_no_text_are_told() -> None:
    assert _problems("a: !!python/name:os.system x\n? [k]\n: v\nb: 1\n") == [
        (1, 4, "a", "tags are not read here: tag:yaml.org,2002:python/name:os.system"),
        (2, 3, "", "a key must be text"),
    ]
    assert _problems("a: 1\n---\nb: 2\n") == [
        (2, 1, "", "a config is one document: a second one starts here")
    ]


def test_deep_nesting_ends_with_a_problem_and_no_recursion_error() -> None:
    tree = read_yaml("[" * 100_000)
    assert not tree.is_whole
    assert [p.message for p in tree.problems] == ["is nested too deeply"]


def test_a_syntax_error_has_its_place_and_what_stands_before_it_is_still_judged() -> None:
    problems = _problems("a: 1\na: 2\nb: [1, 2\nc: 3\n")
    assert [p[:3] for p in problems] == [(2, 1, "a"), (4, 2, "")]
    assert "not YAML" in problems[1][3]
    assert _problems("a: 1\nb: x\x07y\n")[0][:3] == (2, 5, "")


def test_positions_are_those_of_the_value_and_of_the_key() -> None:
    tree = read_yaml("a:\n  - {x: 1}\n  - [5, 6]\n")
    assert tree.position(("a", 0, "x")) == (2, 9)
    assert tree.position(("a", 0, "x"), of_key=True) == (2, 6)
    assert tree.position(("a", 1, 1)) == (3, 9)
    assert tree.position(("a", 1, 7)) == (3, 5), "what is not there: what is around it"
    assert key_text(("a", 1, 7)) == "a[1][7]"


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    tree = read_yaml(text)
    assert all(p.line >= 1 and p.column >= 1 for p in tree.problems)


@given(
    st.recursive(
        TEXT | st.integers(-9, 9) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner),
        max_leaves=10,
    )
)
def test_json_text_means_what_json_says(value: object) -> None:
    tree = read_yaml(json.dumps(value))
    assert tree.value == value
    assert tree.problems == []
