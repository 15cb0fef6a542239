"""Addresses of the hooks."""

from django.urls import path

from . import views

app_name = "providers"

urlpatterns = [
    path("<slug:kind>/<str:token>/", views.HookView.as_view(), name="hook"),
    # Some platforms strip the slash; a redirect would lose the body.
    path("<slug:kind>/<str:token>", views.HookView.as_view()),
    path("<slug:kind>/<str:token>/<path:rest>", views.BelowView.as_view()),
    path("", views.NowhereView.as_view()),
    path("<path:rest>", views.NowhereView.as_view()),
]
