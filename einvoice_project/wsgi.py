"""The web server's door."""

import os

from django.core.wsgi import get_wsgi_application

from einvoice_project.bodies import watched

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "einvoice_project.settings")

application = watched(get_wsgi_application())
