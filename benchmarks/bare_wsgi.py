"""The project without any middleware (allauth does not start without its own, hence not in the settings)."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

django.setup()
settings.MIDDLEWARE = []
application = WSGIHandler()
