"""How things are written on the pages: badges, money, times, icons."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from lifecycle.history.instalments import rests_of
from lifecycle.models import RelayState
from lifecycle.pages.audit_words import detail_words
from providers.formats.en16931.wording import as_iban, as_money
from providers.norm.codes import STATUSES, Role, reason_label, status_label, status_tone

register = template.Library()

register.filter("account", as_iban)
register.filter("parts", rests_of)
register.filter("detail_words", detail_words)

RELAY_TONES = {
    RelayState.AWAITING_APPROVAL: "info",
    RelayState.SCHEDULED: "info",
    RelayState.PENDING: "neutral",
    RelayState.SENDING: "neutral",
    RelayState.SENT: "info",
    RelayState.CONFIRMED: "good",
    RelayState.UNCERTAIN: "warn",
    RelayState.FAILED: "bad",
    RelayState.UNSUPPORTED: "warn",
    RelayState.CANCELLED: "neutral",
}
DELIVERY_TONES = {"received": "info", "processed": "good", "ignored": "neutral", "quarantined": "bad"}
# The letter that opens a decision; "n" for its code would not be remembered.
DECISION_KEYS = {
    "204": "t", "205": "a", "206": "p", "207": "d", "208": "s", "209": "o", "210": "r", "211": "m", "212": "e",
    "220": "x",
}  # fmt: skip
# What people do, where the official label is the state that follows.
DECISION_VERBS = {
    "204": gettext_lazy("Take in hand"),
    "205": gettext_lazy("Approve"),
    "206": gettext_lazy("Approve partly"),
    "207": gettext_lazy("Dispute"),
    "208": gettext_lazy("Suspend"),
    "209": gettext_lazy("Complete"),
    "210": gettext_lazy("Refuse"),
    "211": gettext_lazy("Report a payment"),
    "212": gettext_lazy("Declare a receipt"),
    "220": gettext_lazy("Cancel the invoice"),
    "224": gettext_lazy("Request direct payment"),
    "225": gettext_lazy("Factor"),
    "226": gettext_lazy("Factor confidentially"),
    "227": gettext_lazy("Change the account"),
    "228": gettext_lazy("End the factoring"),
}


@register.simple_tag
def status_badge(code: str | None, native: str = "") -> SafeString:
    if not code:
        words = native or _("No status yet")
        return format_html('<span class="badge badge--neutral badge--unknown">{}</span>', words)
    info = STATUSES.get(code)
    return format_html(
        '<span class="badge badge--{}" title="{}"><span class="badge-code">{}</span> {}</span>',
        status_tone(code), info.definition if info else "", code, status_label(code),
    )  # fmt: skip


@register.simple_tag
def relay_badge(state: str | None) -> SafeString:
    if not state:
        return SafeString("")
    return format_html('<span class="chip chip--{}">{}</span>', RELAY_TONES[RelayState(state)], RelayState(state).label)


@register.simple_tag
def platform_badge(connection: Any) -> SafeString:
    """The platform's name, and whether all is well there; our account's name on hovering."""
    tone, word = "neutral", ""
    if not connection.is_active:
        tone, word = "warn", connection.get_state_display()
    elif connection.is_healthy is False:
        tone, word = "bad", _("not well")
    words = f"{connection.name} – {word}" if word else connection.name
    return format_html(
        '<span class="platform platform--{}" title="{}">{}</span>', tone, words, connection.platform_label
    )


@register.simple_tag
def delivery_badge(delivery: Any) -> SafeString:
    tone = DELIVERY_TONES[delivery.state]
    return format_html('<span class="chip chip--{}">{}</span>', tone, delivery.get_state_display())


@register.filter
def rate(percent: Decimal | str) -> str:
    """A VAT rate without needless zeros."""
    return number_format(f"{Decimal(percent).normalize():f}")


@register.simple_tag
def money(amount: Decimal | str | None, currency: str = "") -> str:
    return as_money(None if amount in (None, "") else Decimal(amount), currency)


@register.filter
def status_name(code: str) -> str:
    return f"{code} {status_label(code)}"


@register.filter
def reason_name(code: str) -> str:
    return reason_label(code)


@register.filter
def role_name(code: str) -> str:
    return str(Role(code).label) if code in Role.values else code


@register.filter
def decision_verb(code: str) -> str:
    return str(DECISION_VERBS.get(code, status_label(code)))


@register.filter
def decision_key(code: str) -> str:
    return DECISION_KEYS.get(code, "")


@register.filter
def person(user: Any) -> str:
    return (user.get_full_name() or user.get_username()) if user else ""


@register.filter
def initials(user: Any) -> str:
    words = person(user).replace(".", " ").replace("_", " ").split()
    return "".join(word[0] for word in words[:2]).upper()


@register.simple_tag
def when(moment: datetime | None) -> SafeString:
    """Short enough for a column; the full date is the tooltip."""
    if moment is None:
        return SafeString("–")
    local, now = timezone.localtime(moment), timezone.localtime()
    if local.date() == now.date():
        short = date_format(local, "H:i")
    elif local.year == now.year:
        short = date_format(local, _("j M H:i"))
    else:
        short = date_format(local, "SHORT_DATE_FORMAT")
    full = date_format(local, "DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), full, short)


@register.filter
def day(value: date | None) -> str:
    """A date in a column."""
    return date_format(value, _("m/d/y")) if value else ""


@register.simple_tag
def countdown(moment: datetime) -> SafeString:
    """Counted down by the page's script; the words stand without it."""
    local = timezone.localtime(moment)
    return format_html('<time datetime="{}" data-until>{}</time>', local.isoformat(), date_format(local, "H:i"))


@register.simple_tag
def icon(name: str) -> SafeString:
    address = static("icons/icons.svg")
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', address, name
    )


@register.simple_tag(takes_context=True)
def with_query(context: Any, **changes: Any) -> str:
    """The page's own address with some parameters changed; an empty value drops one."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


@register.simple_tag
def duration(span: timedelta | None) -> str:
    if span is None:
        return "–"
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{number_format(seconds, 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


@register.filter
def words(text: str) -> list[str]:
    """The words of a literal, to loop over."""
    return text.split()


@register.filter
def field(form: Any, name: str) -> Any:
    """A form's field by its name."""
    return form[name]
