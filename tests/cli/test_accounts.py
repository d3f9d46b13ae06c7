"""Commands that read, as subprocesses against a sandbox in another process."""

import json


def test_a_list_without_a_terminal_is_tab_separated_with_a_header(live):
    """What a pipe gets can be cut and sorted."""
    run = live.call("accounts", "list", "--limit", 2)
    lines = [
        "user_id\tusername\tbalance\tcurrency\tactive\tbanned\taccount_name",
        "1001\tplain\t50.000000\tAUD\tyes\tno\tClient 1001",
        "1002\tdollars\t20.000000\tUSD\tyes\tno\tClient 1002",
    ]
    assert (0, "\n".join(lines) + "\n", "") == (run.status, run.out, run.err)


def test_low_lists_those_below(live):
    """Money is a string, and the limit is a Decimal's."""
    run = live.call("accounts", "list", "--low", "9", "-o", "jsonl", "--columns", "user_id,balance")
    rows = [json.loads(line) for line in run.out.splitlines()]
    low = [(1005, "-3.250000"), (1006, "7.000000"), (1010, "4.000000")]
    assert low == [(row["user_id"], row["balance"]) for row in rows]


def test_an_empty_list_is_an_empty_list(live):
    """A program that reads JSON needs no special case."""
    run = live.call("accounts", "find", "nobody", "--output", "json")
    assert (0, "[]\n", "") == (run.status, run.out, run.err)


def test_find_looks_at_names_and_ignores_capitals(live):
    """The whole list is read, since the API has no search."""
    run = live.call("accounts", "find", "DOLLARS", "-o", "csv", "--columns", "user_id,username")
    assert 'user_id,username\n1002,"dollars"\n' == run.out


def test_one_account_is_an_object(live):
    """`get` gives the account itself, without any key."""
    run = live.call("accounts", "get", "1001", "-o", "json")
    account = json.loads(run.out)
    assert ("plain", "50.000000", "AUD") == tuple(
        account[name] for name in ("username", "balance", "currency")
    )
    assert [] == [name for name in account if "key" in name or "password" in name]


def test_balance_is_the_resellers_own_credit(live):
    """One line for a monitor."""
    run = live.call("balance", "--columns", "balance,currency")
    assert (0, "balance\tcurrency\n1000.000000\tAUD\n") == (run.status, run.out)


def test_an_unknown_column_is_named_before_anything_is_sent(live, served):
    """Exit 2, and the columns that there are."""
    run = live.call("accounts", "list", "--columns", "user_id,nam")
    assert (2, "") == (run.status, run.out)
    assert "'nam'" in run.err
    assert "user_id, username, balance" in run.err
    assert [] == served.requests[1:]


def test_options_may_stand_before_the_command(live):
    """`--output json accounts list` means the same as at the end."""
    before = live.call("-o", "json", "--limit-per-minute=60", "accounts", "get", "1002")
    after = live.call("accounts", "get", "1002", "-o", "json", "--limit-per-minute", "60")
    assert before == after
    assert 0 == before.status


def test_export_to_a_file_is_whole_or_not_there(live, served):
    """The second page fails, and the old file stands as it was."""
    file = live.folder / "all.jsonl"
    assert 0 == live.call("accounts", "export", "--to", file).status
    before = file.read_text("utf-8")
    assert 12 == len(before.splitlines())
    served.fail("error", operation="list_accounts", times=9, status=400)
    run = live.call("accounts", "export", "--to", file)
    assert (1, before, ["all.jsonl"]) == (
        run.status,
        file.read_text("utf-8"),
        [path.name for path in live.folder.iterdir() if path.is_file()],
    )
