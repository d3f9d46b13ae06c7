"""The models as pydantic takes them: schema, validation and JSON.

Loaded when pydantic first asks a model for its schema, and never otherwise. Each model has a
twin, a pydantic model of the same name and fields. The twin is its JSON schema and checks what
comes as JSON; what goes out is made by `to_dict`, so Decimals are strings and secrets are left out.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Annotated, Any, cast, get_args, get_type_hints

import attrs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    create_model,
)
from pydantic_core import CoreSchema, InitErrorDetails, core_schema

from clicksend_reseller._secret import MASK, Secret, to_secret
from clicksend_reseller._wire.decoding import to_dict
from clicksend_reseller._wire.keys import MAX_KEY_LENGTH
from clicksend_reseller._wire.limits import CURRENCY, MAX_INT
from clicksend_reseller._wire.operations import fault_of_text
from clicksend_reseller.models import AccountFields, Transfer


def schema_of(cls: type, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Make the schema of a model.

    Args:
        cls: a model of this package.
        handler: pydantic's.

    Returns:
        A schema that takes instances as they are and makes one of anything else that fits.
    """
    return core_schema.no_info_wrap_validator_function(
        partial(_made, cls),
        handler.generate_schema(_twin(cls)),
        serialization=core_schema.plain_serializer_function_ser_schema(to_dict),
    )


def _made(cls: type[Any], value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, cls):
        return value
    try:
        twin = check(value)
    except ValidationError as exc:
        # A transfer holds no secret; elsewhere the input of one field's error may be the whole
        # object, password and API key included.
        raise (exc if cls is Transfer else _without_input(exc)) from None
    return cls(**dict(twin))


def _without_input(exc: ValidationError) -> ValidationError:
    errors = [
        InitErrorDetails(type=error["type"], loc=error["loc"], input=MASK, ctx=error.get("ctx", {}))
        for error in exc.errors(include_url=False)
    ]
    return ValidationError.from_exception_data(exc.title, errors)


@cache
def _twin(cls: type) -> type[BaseModel]:
    """Make the pydantic model of a model's name and fields."""
    hints = _BODIES.get(cls) or get_type_hints(cls)
    fields: dict[str, Any] = {
        field.name: (hints[field.name], _default(field))
        for field in attrs.fields(cast("Any", cls))
        if Secret not in (hints[field.name], *get_args(hints[field.name]))
    }
    config = ConfigDict(extra="forbid" if cls in _BODIES else "ignore")
    return create_model(cls.__name__, __config__=config, __module__=cls.__module__, **fields)


def _default(field: attrs.Attribute[Any]) -> Any:
    if field.default is attrs.NOTHING:
        return ...
    return Field(default_factory=dict) if field.name == "extra" else field.default


# --- request bodies: what the client would refuse is refused here, where it becomes a 422


def _filled(value: str) -> str:
    if fault := fault_of_text(value):
        raise ValueError(f"it {fault}")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("it has characters that are not printable")
    return value


def _revealed(value: object) -> object:
    return value.get_secret_value() if isinstance(value, Secret) else value


_Text = Annotated[str, StringConstraints(strict=True, min_length=1), AfterValidator(_filled)]
_Password = Annotated[
    _Text,
    BeforeValidator(_revealed),
    AfterValidator(to_secret),
    Field(exclude=True, json_schema_extra={"format": "password", "writeOnly": True}),
]
_Key = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=MAX_KEY_LENGTH),
    AfterValidator(_printable),
]
_Number = Annotated[int, Field(strict=True, ge=1, le=MAX_INT)]
_BODIES: dict[type[Any], dict[str, Any]] = {
    AccountFields: {
        **{field.name: _Text for field in attrs.fields(AccountFields)},
        "password": _Password,
    },
    Transfer: {
        "idempotency_key": _Key,
        "client_user_id": _Number,
        "amount": _Number,
        "currency": Annotated[str, StringConstraints(strict=True, pattern=f"^{CURRENCY.pattern}$")],
    },
}
