"""All addresses."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path

from . import health, reports

# One login for pages and admin: with its second factor and its limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Navette"

handler500 = "einvoice_project.problems.page_of_fault"


def closed(request: HttpRequest, rest: str) -> HttpResponse:
    raise Http404


urlpatterns = [
    path("hooks/", include("providers.hooks.urls")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("csp-report/", reports.policy_report, name="csp_report"),
    # Django's way from any row to its page on the site: it asks for no right, and breaks on the ids of ours.
    path("admin/r/<path:rest>", closed),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("lifecycle.api.urls")),
    path("", include("lifecycle.pages.urls")),
    path("", include("invoices.register.urls")),
]
