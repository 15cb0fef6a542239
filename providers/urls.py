from django.urls import path

from . import views

app_name = "providers"

urlpatterns = [path("<slug:kind>/<str:token>/", views.hook, name="hook")]
