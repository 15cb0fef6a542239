"""What nobody vouches for is kept for a look, and a flood of it fills no disk."""

import pytest
from django.urls import reverse

from providers.connections.limits import Limit
from providers.connections.services import open_hook
from providers.hooks import views
from providers.models import WebhookDelivery
from tests.factories import make_connection

pytestmark = pytest.mark.django_db


def test_flood_of_unsigned_pushes_is_kept_up_to_a_bound_a_day(client, monkeypatch):
    monkeypatch.setattr(views, "UNPROVEN", Limit("unproven", 5, seconds=24 * 3600))
    answers = []
    for name in ("first", "second"):
        connection = make_connection("seqino", name=name, secrets={"api_key": "k", "webhook_secret": "s"})
        hook, _is_new = open_hook(connection=connection)
        url = reverse("providers:hook", args=["seqino", hook.token])
        for number in range(20):
            body = f'{{"event_id": "{number}", "event_type": "invoice.received", "invoice_id": "{number}"}}'
            answers.append(client.post(url, body, content_type="application/json").status_code)
    assert answers == ([204] * 5 + [401] * 15) * 2
    assert WebhookDelivery.objects.count() == 10
