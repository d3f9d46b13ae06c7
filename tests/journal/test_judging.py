from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller.journal import Assumptions, Verdict, judge

APPLIED, NOT_APPLIED, INCONCLUSIVE = Verdict.APPLIED, Verdict.NOT_APPLIED, Verdict.INCONCLUSIVE
ALL = Assumptions(exclusive=True, same_currency=True, max_spend=0, quiet_for=60.0)

CENTS = st.integers(-10_000, 10_000).map(lambda n: Decimal(n) / 100)
LITTLE = st.integers(0, 3_000).map(lambda n: Decimal(n) / 100)
AMOUNTS = st.integers(-50, 50).filter(bool)


@pytest.mark.parametrize(
    ("change", "assume", "verdict"),
    [
        (5, Assumptions(), INCONCLUSIVE),
        (0, Assumptions(), INCONCLUSIVE),
        (5, Assumptions(same_currency=True, max_spend=0, quiet_for=60), INCONCLUSIVE),
        (5, Assumptions(exclusive=True), APPLIED),
        (1, Assumptions(exclusive=True), APPLIED),
        (0, Assumptions(exclusive=True), INCONCLUSIVE),
        (-3, Assumptions(exclusive=True, same_currency=True, max_spend=3), INCONCLUSIVE),
        (0, ALL, NOT_APPLIED),
        (0, Assumptions(same_currency=True, max_spend=0, quiet_for=1), NOT_APPLIED),
        (0, Assumptions(exclusive=True, same_currency=True, max_spend=0), INCONCLUSIVE),
        (0, Assumptions(exclusive=True, max_spend=0, quiet_for=60), INCONCLUSIVE),
        (0, Assumptions(exclusive=True, same_currency=True, quiet_for=60), INCONCLUSIVE),
        (5, ALL, APPLIED),
        (6, ALL, INCONCLUSIVE),
        (-1, ALL, INCONCLUSIVE),
        (2, Assumptions(exclusive=True, same_currency=True, max_spend=3, quiet_for=1), APPLIED),
        (
            -3,
            Assumptions(exclusive=True, same_currency=True, max_spend=3, quiet_for=1),
            NOT_APPLIED,
        ),
    ],
)
def test_a_verdict_needs_what_it_rests_on(change, assume, verdict):
    """One assumption less, and nothing follows."""
    assert verdict is judge(Decimal(10), Decimal(10 + change), 5, assume)


def test_credit_taken_back_is_judged_too():
    """A negative amount lowers the balance."""
    assert APPLIED is judge(10, 5, -5, ALL)
    assert NOT_APPLIED is judge(10, 10, -5, ALL)
    assert INCONCLUSIVE is judge(10, 5, -5, Assumptions(exclusive=True, same_currency=True))


@given(
    before=CENTS,
    amount=AMOUNTS,
    rate=st.sampled_from([Decimal(0), Decimal("0.4"), Decimal(1), Decimal(3)]),
    applied=st.booleans(),
    late=st.booleans(),
    spent=LITTLE,
    credited=LITTLE,
    exclusive=st.booleans(),
    same_currency=st.booleans(),
    max_spend=st.none() | LITTLE,
    quiet_for=st.sampled_from([0.0, 60.0]),
)
def test_no_verdict_goes_beyond_what_the_assumptions_prove(
    *,
    before,
    amount,
    rate,
    applied,
    late,
    spent,
    credited,
    exclusive,
    same_currency,
    max_spend,
    quiet_for,
):
    """A simulated client spends, is credited by others and sees rates; the judge is never wrong."""
    if exclusive:
        credited = Decimal(0)
    if same_currency:
        rate = Decimal(1)
    if max_spend is not None:
        spent = min(spent, max_spend)
    late = late and applied and not quiet_for  # whoever has waited has seen it
    gain = Decimal(amount) * rate if applied and not late else Decimal(0)
    after = before + gain + credited - spent
    assume = Assumptions(
        exclusive=exclusive, same_currency=same_currency, max_spend=max_spend, quiet_for=quiet_for
    )
    verdict = judge(before, after, amount, assume)
    assert verdict is INCONCLUSIVE or (verdict is APPLIED) == applied


@given(before=CENTS, after=CENTS, amount=AMOUNTS)
def test_without_assumptions_nothing_follows(before, after, amount):
    """The default knows nothing."""
    assert INCONCLUSIVE is judge(before, after, amount, Assumptions())


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ((1.5, 2, 5), TypeError),
        ((Decimal("NaN"), 2, 5), ValueError),
        ((1, Decimal("Infinity"), 5), ValueError),
        ((True, 2, 5), TypeError),
        ((1, 2, 5.0), TypeError),
        ((1, 2, 0), ValueError),
    ],
)
def test_what_is_no_exact_number_is_refused(values, error):
    """A float is not money."""
    with pytest.raises(error):
        judge(values[0], values[1], values[2], ALL)


@pytest.mark.parametrize(
    ("assumed", "error"),
    [
        ({"max_spend": 0.5}, TypeError),
        ({"max_spend": -1}, ValueError),
        ({"max_spend": Decimal("NaN")}, ValueError),
        ({"quiet_for": -1.0}, ValueError),
        ({"quiet_for": "60"}, TypeError),
        ({"quiet_for": float("inf")}, ValueError),
    ],
)
def test_an_assumption_that_makes_no_sense_is_refused(assumed, error):
    """Before anybody trusts it."""
    with pytest.raises(error):
        Assumptions(**assumed)
