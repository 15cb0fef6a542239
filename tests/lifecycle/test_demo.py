"""What `make run` sets up is accepted by the doors it goes through."""

import pytest
from django.contrib.auth.models import User

from lifecycle import demo, provisioning

pytestmark = pytest.mark.django_db


def test_demo_is_provisioned_with_people_who_can_sign_in():
    provisioning.provision(demo.wish("http://127.0.0.1:8900"))

    people = User.objects.filter(username__in=[name for name, _role in demo.PEOPLE])
    assert sorted(person.username for person in people if person.check_password(demo.PASSWORD)) == sorted(
        name for name, _role in demo.PEOPLE
    )
