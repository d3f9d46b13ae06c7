import pytest

from clicksend_reseller.sandbox.service.redaction import (
    MASK,
    masked,
    masked_authorization,
    masked_query,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ("Basic c2VjcmV0", f"Basic {MASK}"),
        ("bearer secret", f"bearer {MASK}"),
        ("secret", MASK),
        ("secret more", MASK),
        (" Basic secret", MASK),
    ],
)
def test_an_authorization_header_shows_its_scheme_alone(header, expected):
    """A key that was sent without a scheme is all secret."""
    assert expected == masked_authorization(header)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("page=2&limit=15", "page=2&limit=15"),
        ("a=1&api_key=s=t&b=2", f"a=1&api_key={MASK}&b=2"),
        ("My_Password=s", f"My_Password={MASK}"),
        ("x=password", "x=password"),
        ("password", "password"),
    ],
)
def test_a_query_is_masked_by_name(query, expected):
    """The other words of it stay readable."""
    assert expected == masked_query(query)


def test_a_document_is_masked_by_name_at_any_depth():
    """In lists, too, and whatever stands under the name."""
    content = {"a": [{"PASSWORD": ["s"], "b": 1}], "api_key": {"c": "s"}, "token": None, "d": None}
    expected = {"a": [{"PASSWORD": MASK, "b": 1}], "api_key": MASK, "token": MASK, "d": None}
    assert expected == masked(content)


def test_what_is_too_deep_to_look_into_is_masked():
    """No document can exhaust the stack, and none can hide a key below a limit."""
    content: object = "secret"
    for _ in range(500):
        content = [content]
    assert "secret" not in str(masked(content))
    assert [[["seen"]]] == masked([[["seen"]]])
