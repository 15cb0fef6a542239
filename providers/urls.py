from django.urls import path

from . import views

app_name = "providers"

urlpatterns = [
    path("<slug:kind>/<str:token>/", views.hook, name="hook"),
    # Some platforms strip the slash; a redirect would lose the body.
    path("<slug:kind>/<str:token>", views.hook),
    path("<path:rest>", views.nowhere),
]
