from django.urls import path

from . import views

app_name = "invoices"

urlpatterns = [
    path("invoices/<uuid:invoice_id>/documents/<uuid:document_id>/", views.download, name="download"),
    path("invoices/<uuid:invoice_id>/documents/<uuid:document_id>/view/", views.view_pdf, name="view_pdf"),
    path("invoices/<uuid:invoice_id>/attachments/<int:index>/", views.attachment, name="attachment"),
]
