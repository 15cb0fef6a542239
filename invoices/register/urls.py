"""Addresses of files."""

from django.urls import path

from . import views

app_name = "invoices"

urlpatterns = [
    path("invoices/<uuid:invoice_id>/readable.pdf", views.readable_pdf, name="readable_pdf"),
    path("invoices/<uuid:invoice_id>/documents/<uuid:document_id>/", views.download, name="download"),
    path("invoices/<uuid:invoice_id>/documents/<uuid:document_id>/view/", views.view, name="view"),
    path("invoices/<uuid:invoice_id>/attachments/<int:index>/", views.attachment, name="attachment"),
    path("invoices/<uuid:invoice_id>/attachments/<int:index>/view/", views.view_attachment, name="view_attachment"),
    path("files/<str:token>/", views.file, name="file"),
]
