"""What each address answers whom: a rule by method. An address that stands nowhere here fails the matrix."""

from __future__ import annotations

from typing import Any

from .rules import (
    ADMINISTRATOR,
    APPROVER,
    CLERK,
    NOBODY,
    READER,
    SUPERUSER,
    Rule,
    absent,
    anybody,
    anywhere,
    hidden_below,
    in_admin,
    login_of_admin,
    logout_of_admin,
    nowhere,
    of_customer,
    rows_from,
    served,
    signed_in,
    to_login,
    token_owner,
    wholly,
)

Answers = dict[str, Rule]
READ: Answers = {"GET": of_customer(READER)}
LIST: Answers = {"GET": signed_in}


def act(rank: int) -> Answers:
    return {"POST": of_customer(rank)}


PAGES: dict[str, Answers] = {
    "lifecycle:worklist": LIST,
    "lifecycle:worklist_live": LIST,
    "lifecycle:invoices": LIST,
    "lifecycle:export_many": LIST,
    "lifecycle:take_in_hand": {"POST": signed_in},
    "lifecycle:invoice": READ,
    "lifecycle:invoice_document": READ,
    "lifecycle:export_one": READ,
    "lifecycle:export_proof": READ,
    "lifecycle:invoice_live": READ,
    "lifecycle:decide": {"GET": of_customer(CLERK), "POST": of_customer(CLERK)},
    "lifecycle:comment": act(CLERK),
    "lifecycle:acknowledge_account": act(CLERK),
    "lifecycle:assign": act(CLERK),
    "lifecycle:settle_answer": act(CLERK),
    "lifecycle:check_again": act(CLERK),
    "lifecycle:issuing": {"GET": anywhere(CLERK), "POST": anywhere(CLERK)},
    "lifecycle:begin_draft": {"POST": absent},
    "lifecycle:draft": {"GET": hidden_below(CLERK), "POST": hidden_below(CLERK)},
    "lifecycle:draft_preview": {"GET": hidden_below(CLERK)},
    "lifecycle:reopen_draft": {"POST": hidden_below(CLERK)},
    "lifecycle:follow": act(CLERK),
    "lifecycle:upload_row": READ,
    "lifecycle:relays": LIST,
    "lifecycle:relay_action": act(ADMINISTRATOR),
    "lifecycle:deliveries": {"GET": anywhere(ADMINISTRATOR)},
    "lifecycle:replay": {"POST": anywhere(ADMINISTRATOR)},
    "lifecycle:delivery": {"GET": rows_from(ADMINISTRATOR)},
    "lifecycle:connections": LIST,
    "lifecycle:check": {"POST": wholly},
    "lifecycle:audit_log": {"GET": anywhere(ADMINISTRATOR)},
    "lifecycle:export_audit_log": {"GET": anywhere(ADMINISTRATOR)},
    "lifecycle:tokens": {"GET": signed_in, "POST": signed_in},
    "lifecycle:revoke_token": {"POST": token_owner},
    "lifecycle:dashboard": LIST,
    "invoices:readable_pdf": READ,
    "invoices:download": READ,
    "invoices:view": READ,
    "invoices:attachment": READ,
    "invoices:view_attachment": READ,
    # The address is the proof, for who was given it.
    "invoices:file": {"GET": anybody},
}
API: dict[str, Answers] = {
    "api:invoice-list": {"GET": signed_in, "POST": signed_in},
    "api:invoices-export": LIST,
    "api:invoice-detail": READ,
    "api:invoice-export": READ,
    "api:event-list": READ,
    "api:settle": act(CLERK),
    "api:document-list": READ,
    "api:invoice-account": act(CLERK),
    "api:decisions": act(CLERK),
    "api:document-file": READ,
    "api:relay-list": LIST,
    "api:relay-detail": READ,
    "api:relay-proof": READ,
    "api:relay-retry": act(ADMINISTRATOR),
    "api:relay-cancel": act(APPROVER),
    "api:relay-release": act(CLERK),  # who may say the status: here 204
    "api:relay-resolve": act(ADMINISTRATOR),
    "api:delivery-list": {"GET": anywhere(ADMINISTRATOR)},
    "api:delivery-detail": {"GET": rows_from(ADMINISTRATOR)},
    "api:delivery-replay": {"POST": rows_from(ADMINISTRATOR)},
    "api:customer-list": LIST,
    "api:customer-detail": {"GET": hidden_below(READER)},
    "api:line-list": LIST,
    "api:line-detail": {"GET": hidden_below(READER)},
    "api:connection-list": LIST,
    "api:connection-detail": {"GET": served},
    "api:status-list": LIST,
    "api:reason-list": LIST,
    "api:schema": LIST,
    "api:nothing": {"GET": nowhere},
}
OPEN: Answers = {"GET": anybody, "POST": anybody}
MINE: Answers = {"GET": signed_in, "POST": signed_in}
NOTHING_YET: Answers = {"GET": absent, "POST": absent}
REFUSING: Answers = {"GET": anywhere(NOBODY), "POST": anywhere(NOBODY)}
ACCOUNTS: dict[str, Answers] = {
    "account_login": OPEN,
    "account_logout": OPEN,
    "account_inactive": OPEN,
    "account_signup": OPEN,
    "account_reset_password": OPEN,
    "account_reset_password_done": OPEN,
    "account_reset_password_from_key": OPEN,
    "account_reset_password_from_key_done": OPEN,
    "account_email_verification_sent": OPEN,
    "account_confirm_email": {"GET": anybody, "POST": nowhere},
    "account_confirm_login_code": MINE,
    "account_change_password": MINE,
    "account_set_password": MINE,
    "account_email": MINE,
    "usersessions_list": MINE,
    # These people have neither password nor second factor.
    "account_reauthenticate": REFUSING,
    "mfa_reauthenticate": REFUSING,
    "mfa_reauthenticate_webauthn": REFUSING,
    "mfa_index": MINE,
    "mfa_authenticate": MINE,
    "mfa_login_webauthn": MINE,
    "mfa_activate_totp": MINE,
    "mfa_generate_recovery_codes": MINE,
    "mfa_list_webauthn": MINE,
    "mfa_add_webauthn": MINE,
    "mfa_deactivate_totp": NOTHING_YET,
    "mfa_view_recovery_codes": {"GET": absent},
    "mfa_download_recovery_codes": NOTHING_YET,
    "mfa_remove_webauthn": NOTHING_YET,
    "mfa_edit_webauthn": NOTHING_YET,
    "socialaccount_connections": MINE,
    "socialaccount_login_cancelled": OPEN,
    "socialaccount_login_error": {"GET": to_login},
    "socialaccount_signup": {"GET": to_login, "POST": to_login},
    # Old addresses, which lead to the new ones.
    "accounts/social/login/cancelled/": OPEN,
    "accounts/social/login/error/": OPEN,
    "accounts/social/signup/": OPEN,
    "accounts/social/connections/": OPEN,
    "openid_connect_login": {"GET": nowhere, "POST": nowhere},
    "openid_connect_callback": {"GET": nowhere},
}
OTHERS: dict[str, Answers] = {
    "providers:hook": {"POST": nowhere},
    "hooks/<slug:kind>/<str:token>": {"POST": nowhere},
    "hooks/<slug:kind>/<str:token>/<path:rest>": {"POST": nowhere, "DELETE": nowhere},
    "hooks/": {"POST": nowhere, "DELETE": nowhere},
    "hooks/<path:rest>": {"POST": nowhere},
    "csp_report": {"POST": anybody},
    "healthz": {"GET": anybody},
    "readyz": {"GET": anybody},
    "metrics": {"GET": anybody},
    "set_language": {"POST": anybody},
}
# Per model: from which role on rows are listed and shown, added, changed, deleted.
MODELS: dict[str, tuple[int, int, int, int]] = {
    "invoices_customer": (ADMINISTRATOR, SUPERUSER, ADMINISTRATOR, SUPERUSER),
    "invoices_policychange": (ADMINISTRATOR, NOBODY, NOBODY, NOBODY),
    "invoices_addressingline": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, SUPERUSER),
    "invoices_invoice": (READER, NOBODY, NOBODY, NOBODY),
    "lifecycle_statusevent": (READER, NOBODY, NOBODY, NOBODY),
    "lifecycle_relaytask": (READER, NOBODY, NOBODY, NOBODY),
    "lifecycle_purgedinvoice": (ADMINISTRATOR, NOBODY, NOBODY, NOBODY),
    "providers_connection": (ADMINISTRATOR, SUPERUSER, ADMINISTRATOR, SUPERUSER),
    "providers_refusedrequest": (ADMINISTRATOR, NOBODY, NOBODY, NOBODY),
    "providers_webhookdelivery": (ADMINISTRATOR, NOBODY, NOBODY, NOBODY),
    "auth_user": (ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, SUPERUSER),
    "auth_group": (SUPERUSER,) * 4,
    "mfa_authenticator": (SUPERUSER, NOBODY, NOBODY, SUPERUSER),
    "account_emailaddress": (SUPERUSER,) * 4,
    "usersessions_usersession": (SUPERUSER,) * 4,
    "socialaccount_socialaccount": (SUPERUSER,) * 4,
}


def of_model(name: str) -> dict[str, Answers]:
    shown, added, changed, deleted = MODELS[name]
    rules = {
        "changelist": {"GET": anywhere(shown)},
        "add": {"POST": anywhere(added)},
        "change": {"GET": rows_from(shown), "POST": rows_from(changed)},
        "history": {"GET": rows_from(shown) if shown == SUPERUSER else hidden_below(shown)},
        "delete": {"POST": rows_from(deleted)},
    }
    return {
        f"admin:{name}_{page}": {method: in_admin(rule) for method, rule in answers.items()}
        for page, answers in rules.items()
    }


def redirect_of(name: str) -> str:
    return f"admin/{name.replace('_', '/')}/<path:object_id>/"


STAFF: Answers = {"GET": in_admin(signed_in), "POST": in_admin(signed_in)}
ADMIN: dict[str, Answers] = {
    **{address: answers for name in MODELS for address, answers in of_model(name).items()},
    # Nothing but the way to the page that asks for rights.
    **{redirect_of(name): {"GET": in_admin(signed_in)} for name in MODELS},
    "admin:invoices_invoice_decide": {"GET": in_admin(of_customer(CLERK)), "POST": in_admin(of_customer(CLERK))},
    "admin:invoices_addressingline_directory": {"GET": in_admin(anywhere(ADMINISTRATOR))},
    "admin:auth_user_password_change": {"GET": in_admin(rows_from(ADMINISTRATOR))},
    "admin:app_list": {"GET": in_admin(hidden_below(READER))},
    "admin:index": STAFF,
    "admin:autocomplete": {"GET": in_admin(anywhere(NOBODY))},
    "admin:jsi18n": STAFF,
    "admin:login": {"GET": login_of_admin},
    "admin:logout": {"POST": logout_of_admin},
    "admin:password_change": STAFF,
    "admin:password_change_done": STAFF,
    "admin:view_on_site": {"GET": nowhere},
    "admin/r/<path:rest>": {"GET": nowhere},
    "admin/(?P<url>.*)$": {"GET": in_admin(nowhere)},
}
TABLE = PAGES | API | ACCOUNTS | OTHERS | ADMIN

# What is sent along; nothing, where nothing is needed to be heard.
BODIES: dict[str, dict[str, Any]] = {
    "lifecycle:comment": {"text": "Seen"},
    "lifecycle:assign": {"to": ""},
    "lifecycle:decide": {"step": "preview"},
    "api:decisions": {"status": "207", "reasons": [{"code": "QTE_ERR"}]},
    "api:relay-resolve": {"arrived": True},
}

# Parts of addresses that name no row of ours.
ANYTHING: dict[str, Any] = {
    "rest": "no/such", "pk": 1, "key": "none", "uidb36": "1", "provider_id": "none", "app_label": "invoices",
    "url": "nothing/", "content_type_id": 1,
}  # fmt: skip


# Where the same part means another thing.
OTHER_PARTS = {"lifecycle:relay_action": {"name": "retry"}}
# A refusal is a notice on the page, told apart where the answer is one for a script.
TOLD_IN_WORDS = ("lifecycle:settle_answer", "lifecycle:relay_action")
# Of the relays, where the action is one for them; else they have failed.
RELAY_STATES = {"api:relay-release": "awaiting_approval", "api:relay-resolve": "uncertain"}

OF_A = ["anonymous", "stranger", "reader of A", "clerk of A", "approver of A", "administrator of A"]
MIXED = "reader of A, administrator of B"
WHO = {
    "": [*OF_A, MIXED, "superuser"],
    "A": [*OF_A, "administrator of B", MIXED, "administrator of both", "superuser"],
    "B": ["administrator of A", MIXED],
    "shared": ["reader of A", "administrator of A", "administrator of both"],
    "own": ["administrator of A", "administrator of B"],
}
# Clerks and approvers have the readers' rights there.
WHO_IN_ADMIN = {
    "": ["anonymous", "stranger", "staff of nobody", "approver of A", "administrator of A", "superuser"],
    "A": ["anonymous", "staff of nobody", "approver of A", "administrator of A", "administrator of B", "superuser"],
}


def asked_by(name: str, place: str) -> list[str]:
    """Everybody for whom it could make a difference; twice as many would take twice as long."""
    if name in ACCOUNTS or name in ("api:schema", "api:status-list", "api:reason-list"):
        return ["anonymous", "stranger"]
    people = WHO | WHO_IN_ADMIN if name.startswith("admin") and "decide" not in name else WHO
    return people[place]
