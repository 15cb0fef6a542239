"""What a worker holds at once, whatever the size and number of messages."""

import base64
import json
import os
import tracemalloc

import pytest

from lifecycle.inbox import deliveries
from providers.contract.base import MIB
from providers.models import WebhookDelivery
from tests.factories import SIREN, make_connection, make_customer, make_line
from tests.providers.cegid.samples import LINE, make_body

pytestmark = pytest.mark.django_db

COUNT, SIZE = 10, 3 * MIB


def test_batch_of_large_messages_is_held_one_at_a_time():
    settings, secrets = {"od_url": "https://od.example.test"}, {"subscription_key": "k"}
    connection = make_connection("cegid", settings=settings, secrets=secrets)
    make_line(make_customer(SIREN), connection, LINE)
    for number in range(COUNT):
        content = base64.b64encode(os.urandom(SIZE)).decode()
        document = {"contentBase64": content, "syntax": "FACTUR-X", "fileName": "f.pdf"}
        body = make_body(messageId=f"m{number}", document=document)
        body["invoice"] = body["invoice"] | {"number": f"F-{number}"}
        row = {"connection": connection, "key": f"k{number}", "url": "", "line_identifier": LINE}
        WebhookDelivery.objects.create(**row, body=json.dumps(body).encode())
        del content, document, body
    tracemalloc.start()
    deliveries.drain()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    message = SIZE * 4 / 3
    assert WebhookDelivery.objects.filter(state="received").count() == 0
    assert peak < 6 * message, f"{peak / MIB:.0f} MiB"  # read, parsed and decoded copies of one, and the next
