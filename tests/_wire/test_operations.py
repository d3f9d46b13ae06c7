import pickle
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller._wire import operations
from clicksend_reseller._wire.operations import Operation, Repeat
from clicksend_reseller.models import Account, AccountPage, Secret, TransferReceipt
from support.wire_samples import FIELDS, OPERATIONS

FIELDS_BODY = {
    "username": "acme2",
    "password": Secret("correct horse"),
    "user_email": "owner@acme2.test",
    "user_phone": "500-555-0002",
    "user_first_name": "John",
    "user_last_name": "Example",
    "account_name": "Acme Two",
    "country": "US",
}


def transfer(client_user_id=60, amount=12, currency="USD", *, allow_negative=False):
    """Make a transfer that is right but for what is given."""
    return operations.transfer_credit(
        client_user_id, amount, currency, allow_negative=allow_negative
    )


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: operations.list_accounts(page=2, limit=50),
            Operation(
                name="list_accounts",
                method="GET",
                path="/reseller/accounts",
                query={"page": 2, "limit": 50},
                returns=AccountPage,
                repeat=Repeat.FREELY,
            ),
        ),
        (
            lambda: operations.get_account(117),
            Operation(
                name="get_account",
                method="GET",
                path="/reseller/accounts/117",
                returns=Account,
                repeat=Repeat.FREELY,
                user_id=117,
            ),
        ),
        (
            operations.get_own_account,
            Operation(
                name="get_own_account",
                method="GET",
                path="/account",
                returns=Account,
                repeat=Repeat.FREELY,
                fresh=True,
            ),
        ),
        (
            lambda: operations.create_account(FIELDS),
            Operation(
                name="create_account",
                method="POST",
                path="/reseller/accounts",
                body=FIELDS_BODY,
                returns=Account,
                repeat=Repeat.AFTER_REFUSAL,
            ),
        ),
        (
            lambda: operations.update_account(117, FIELDS),
            Operation(
                name="update_account",
                method="PUT",
                path="/reseller/accounts/117",
                body=FIELDS_BODY,
                returns=Account,
                repeat=Repeat.SAME_MEANING,
                user_id=117,
            ),
        ),
        (
            lambda: transfer(60, 12, "USD"),
            Operation(
                name="transfer_credit",
                method="PUT",
                path="/reseller/transfer-credit",
                body={"client_user_id": 60, "amount": 12, "currency": "USD"},
                returns=TransferReceipt,
                repeat=Repeat.NEVER,
                user_id=60,
            ),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_operations_are_whole_values(make, expected):
    """Method, path, query, body, model and the word about repeating: nothing else is sent."""
    operation = make()
    assert expected == operation
    assert expected.body == operation.body


@pytest.mark.parametrize(
    ("repeat", "writes"),
    [
        (Repeat.FREELY, False),
        (Repeat.SAME_MEANING, True),
        (Repeat.AFTER_REFUSAL, True),
        (Repeat.NEVER, True),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_what_follows_from_the_word_about_repeating(method, repeat, writes):
    """The verb decides nothing: update and transfer are both a PUT."""
    operation = Operation(name="x", method=method, path="/", returns=Account, repeat=repeat)
    assert writes == operation.writes


NO_NUMBER = [None, True, False, 1.0, 1.5, "1", "../transfer-credit", b"1", [1]]
OUT_OF_RANGE = [0, -1, 2**31, 10**20]
BAD_NUMBERS = [
    *((value, TypeError) for value in NO_NUMBER),
    *((value, ValueError) for value in OUT_OF_RANGE),
]


@pytest.mark.parametrize(
    "ask",
    [
        lambda number: operations.list_accounts(page=number, limit=100),
        lambda number: operations.list_accounts(page=1, limit=number),
        operations.get_account,
        lambda number: operations.update_account(number, FIELDS),
        transfer,
    ],
    ids=["page", "limit", "get", "update", "transfer"],
)
@pytest.mark.parametrize(("number", "error"), BAD_NUMBERS)
def test_ids_pages_and_limits_are_whole_numbers_from_1(ask, number, error):
    """A crafted id would be another route; it never becomes a path."""
    with pytest.raises(error, match=r"must be (an int|from 1 to 2147483647), not"):
        ask(number)


@pytest.mark.parametrize("number", [1, 2**31 - 1])
def test_first_and_last_number_are_numbers(number):
    """The bounds themselves are allowed."""
    assert f"/reseller/accounts/{number}" == operations.get_account(number).path
    query = {"page": number, "limit": number}
    assert query == operations.list_accounts(page=number, limit=number).query
    body = {"client_user_id": number, "amount": number, "currency": "USD"}
    assert body == transfer(number, number).body


@pytest.mark.parametrize(
    ("amount", "error"), [*((value, TypeError) for value in NO_NUMBER), (0, ValueError)]
)
@pytest.mark.parametrize("allow_negative", [False, True])
def test_amounts_are_whole_numbers(amount, error, allow_negative):
    """Half units, strings and nothing at all are refused before anything is sent."""
    with pytest.raises(error, match="amount must be"):
        transfer(amount=amount, allow_negative=allow_negative)


@pytest.mark.parametrize("amount", [2**31, -(2**31), 10**20])
@pytest.mark.parametrize("allow_negative", [False, True])
def test_amounts_have_a_bound(amount, allow_negative):
    """The wire's amount is an int32."""
    with pytest.raises(ValueError, match=r"amount must be from 1 to 2147483647 whole units"):
        transfer(amount=amount, allow_negative=allow_negative)


@pytest.mark.parametrize("amount", [-1, -5, -(2**31 - 1)])
def test_credit_is_taken_back_only_on_purpose(amount):
    """A sign is easily slipped in; the argument that allows it is not."""
    with pytest.raises(ValueError, match="pass allow_negative=True if that is meant"):
        transfer(amount=amount)
    body = {"client_user_id": 60, "amount": amount, "currency": "USD"}
    assert body == transfer(amount=amount, allow_negative=True).body


@pytest.mark.parametrize(
    ("currency", "error"),
    [
        *((value, TypeError) for value in [None, 5, b"AUD", ["AUD"]]),
        *((value, ValueError) for value in ["", "AU", "DOLLARS", "usd", "AUD\n", " AUD", "ÀUD"]),
    ],
)
def test_currencies_are_three_capital_letters(currency, error):
    """What cannot be a currency is not worth finding out by sending money."""
    with pytest.raises(error, match="currency must be"):
        transfer(currency=currency)


BAD_FIELDS = [
    ({"username": ""}, ValueError, "username is empty"),
    ({"username": " \t"}, ValueError, "username is empty"),
    ({"password": ""}, ValueError, "password is empty"),
    ({"country": ""}, ValueError, "country is empty"),
    ({"user_phone": 15005550002}, TypeError, "user_phone must be a str, not int"),
    ({"account_name": None}, TypeError, "account_name must be a str, not NoneType"),
    ({"user_email": b"x"}, TypeError, "user_email must be a str, not bytes"),
    ({"username": "ac\x00me"}, ValueError, "username has a NUL or a lone surrogate"),
    ({"user_first_name": "A\ud83d"}, ValueError, "user_first_name has a NUL or a lone surrogate"),
    ({"account_name": "\udc80"}, ValueError, "account_name has a NUL or a lone surrogate"),
    ({"password": "open\x00sesame"}, ValueError, "password has a NUL or a lone surrogate"),
    ({"password": "open\udfffsesame"}, ValueError, "password has a NUL or a lone surrogate"),
    ({"account_name": "**********"}, ValueError, "this is the mask of a secret"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_FIELDS)
def test_fields_are_filled_with_text(changes, error, message):
    """The API requires all eight; what is missing is named before anything is sent."""
    fields = attrs.evolve(FIELDS, **changes)
    with pytest.raises(error, match=message):
        operations.create_account(fields)
    with pytest.raises(error, match=message):
        operations.update_account(117, fields)


@pytest.mark.parametrize("password", ["open\x00sesame", "open\ud800sesame"])
def test_a_password_that_is_refused_is_shown_nowhere(password):
    """Neither in the error nor in what stands behind it."""
    with pytest.raises(ValueError, match="password has a NUL") as caught:
        operations.create_account(attrs.evolve(FIELDS, password=password))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [line for line in lines.format() if "clicksend_reseller" in line]
    assert frames
    assert not [line for line in frames if "sesame" in line]
    assert caught.value.__context__ is None


@pytest.mark.parametrize("fields", [None, {}, FIELDS_BODY, "acme2"])
def test_fields_are_account_fields(fields):
    """A dict that looks right could hold anything."""
    with pytest.raises(TypeError, match="fields must be AccountFields"):
        operations.create_account(fields)


def test_travelled_fields_never_become_an_operation():
    """A pickle dropped the password, so there is nothing that could be sent in its place."""
    travelled = pickle.loads(pickle.dumps(FIELDS))  # noqa: S301 - our own pickle
    with pytest.raises(ValueError, match="this secret did not travel: pass it again"):
        operations.create_account(travelled)
    with pytest.raises(ValueError, match="this secret did not travel: pass it again"):
        operations.update_account(117, travelled)


def test_no_print_of_an_operation_shows_its_body():
    """Operations stand in frames and logs; a password must not."""
    texts = [repr(operation) for operation in OPERATIONS["any"]]
    assert all("correct horse" not in text and "body" not in text for text in texts)


@given(number=st.integers())
def test_any_int_is_a_plain_path_or_an_error(number):
    """A path ends in the digits of its id, whatever the number."""
    try:
        operation = operations.get_account(number)
    except ValueError:
        assert not 1 <= number <= 2**31 - 1
    else:
        assert f"/reseller/accounts/{number}" == operation.path
        assert 1 <= number <= 2**31 - 1
        assert operations.update_account(number, FIELDS).path == operation.path


@given(value=st.text() | st.floats() | st.binary() | st.booleans())
def test_nothing_but_an_int_becomes_a_path(value):
    """Strings that look like numbers are strings."""
    with pytest.raises(TypeError):
        operations.get_account(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: operations.get_account(0), "client_user_id must be from 1 to 2147483647, not 0"),
        (lambda: transfer(client_user_id=0), "client_user_id must be from 1 to 2147483647, not 0"),
        (lambda: operations.list_accounts(page=0, limit=1), "page must be from 1 to"),
        (
            lambda: operations.list_accounts(page=1, limit="1"),  # type: ignore[arg-type]  # so
            "limit must be an int, not '1'",
        ),
        (
            lambda: operations.update_account(1, {}),  # type: ignore[arg-type]  # so
            "fields must be AccountFields, not dict",
        ),
    ],
)
def test_a_refused_argument_is_named(make, message):
    """Whoever reads the error knows what to correct."""
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert message in str(caught.value)
