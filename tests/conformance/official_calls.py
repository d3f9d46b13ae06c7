"""What does the official SDK make of an answer? A script for the environment that has it.

Its arguments are the host, a user name, a key, and "once" to switch its repeating off. It reads
a JSON list of calls, each a method and its arguments, and prints a JSON list of what came of
them: the data, or the exception.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import clicksend  # type: ignore[import-not-found]  # in that environment alone


class Transfer(clicksend.UpdatePaymentInfoRequest):  # type: ignore[misc]  # see above
    """A transfer in the guise of credit-card details: the method takes nothing else."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__()
        object.__setattr__(self, "_fields_of_the_transfer", fields)

    def to_dict(self) -> dict[str, Any]:
        """Give what is to go on the wire."""
        return dict(object.__getattribute__(self, "_fields_of_the_transfer"))


class Caller:
    """The operations by the names of our own client."""

    def __init__(self, client: Any) -> None:
        self._reseller = clicksend.ResellerApi(client)
        self._management = clicksend.ManagementApi(client)

    def list_accounts(self) -> Any:
        return self._reseller.view_client_accounts()

    def get_account(self, user_id: int) -> Any:
        return self._reseller.view_specific_client_account(str(user_id))

    def create_account(self, fields: dict[str, str]) -> Any:
        body = clicksend.CreateResellerAccountRequest(**fields)
        return self._reseller.create_reseller_account(create_reseller_account_request=body)

    def update_account(self, user_id: int, fields: dict[str, Any] | None) -> Any:
        # The eight fields have no place in it either: it takes credit-card details.
        body = Transfer(fields) if fields else clicksend.UpdatePaymentInfoRequest()
        return self._reseller.update_client_account(str(user_id), update_payment_info_request=body)

    def transfer_credit(self, fields: dict[str, Any] | None) -> Any:
        body = Transfer(fields) if fields else clicksend.UpdatePaymentInfoRequest()
        return self._reseller.reseller_transfer_credit(update_payment_info_request=body)

    def get_own_account(self) -> Any:
        return self._management.view_account_details()


def outcome(caller: Caller, name: str, arguments: list[Any]) -> dict[str, Any]:
    """Make one call and tell what came of it."""
    try:
        given = getattr(caller, name)(*arguments)
    except Exception as exc:  # noqa: BLE001 - told, whatever it is
        return {
            "raised": type(exc).__name__,
            "status": getattr(exc, "status", None),
            "body": getattr(exc, "body", None),
            "said": str(exc),
        }
    return {"gave": None if given is None else given.to_dict(), "repr": repr(given)}


def main(host: str, username: str, api_key: str, *once: str) -> None:
    """Answer calls with what came of them."""
    configuration = clicksend.Configuration(
        host=host, username=username, password=api_key, retries=False if once else None
    )
    with clicksend.ApiClient(configuration) as client:
        caller = Caller(client)
        calls = json.load(sys.stdin)
        done = [outcome(caller, name, arguments) for name, *arguments in calls]
    print(json.dumps(done))  # noqa: T201 - to the test


if __name__ == "__main__":
    main(*sys.argv[1:])
