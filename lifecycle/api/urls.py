"""Addresses of the API."""

from django.urls import path, re_path

from .views import base, deliveries, invoices, reference, relays, submissions

app_name = "api"

urlpatterns = [
    path("invoices/", submissions.InvoiceCollection.as_view(), name="invoice-list"),
    path("invoices/export/", invoices.InvoicesExport.as_view(), name="invoices-export"),
    path("invoices/<uuid:invoice_id>/", invoices.InvoiceDetail.as_view(), name="invoice-detail"),
    path("invoices/<uuid:invoice_id>/export/", invoices.InvoiceExport.as_view(), name="invoice-export"),
    path("invoices/<uuid:invoice_id>/events/", invoices.EventList.as_view(), name="event-list"),
    path("invoices/<uuid:invoice_id>/events/<uuid:event_id>/settle/", invoices.EventSettle.as_view(), name="settle"),
    path("invoices/<uuid:invoice_id>/documents/", invoices.DocumentList.as_view(), name="document-list"),
    path("invoices/<uuid:invoice_id>/account/", invoices.AccountAcknowledgement.as_view(), name="invoice-account"),
    path("invoices/<uuid:invoice_id>/decisions/", invoices.DecisionView.as_view(), name="decisions"),
    path(
        "invoices/<uuid:invoice_id>/documents/<uuid:document_id>/file/",
        invoices.DocumentFile.as_view(),
        name="document-file",
    ),
    path("relays/", relays.RelayList.as_view(), name="relay-list"),
    path("relays/<uuid:relay_id>/", relays.RelayDetail.as_view(), name="relay-detail"),
    path("relays/<uuid:relay_id>/proof/", relays.RelayProof.as_view(), name="relay-proof"),
    path("relays/<uuid:relay_id>/retry/", relays.RelayRetry.as_view(), name="relay-retry"),
    path("relays/<uuid:relay_id>/cancel/", relays.RelayCancel.as_view(), name="relay-cancel"),
    path("relays/<uuid:relay_id>/release/", relays.RelayRelease.as_view(), name="relay-release"),
    path("relays/<uuid:relay_id>/resolve/", relays.RelayResolve.as_view(), name="relay-resolve"),
    path("deliveries/", deliveries.DeliveryList.as_view(), name="delivery-list"),
    path("deliveries/<uuid:delivery_id>/", deliveries.DeliveryDetail.as_view(), name="delivery-detail"),
    path("deliveries/<uuid:delivery_id>/replay/", deliveries.DeliveryReplay.as_view(), name="delivery-replay"),
    path("customers/", reference.CustomerList.as_view(), name="customer-list"),
    path("customers/<str:siren>/", reference.CustomerDetail.as_view(), name="customer-detail"),
    path("addressing-lines/", reference.LineList.as_view(), name="line-list"),
    path("addressing-lines/<str:identifier>/", reference.LineDetail.as_view(), name="line-detail"),
    path("connections/", reference.ConnectionList.as_view(), name="connection-list"),
    path("connections/<slug:name>/", reference.ConnectionDetail.as_view(), name="connection-detail"),
    path("codes/statuses/", reference.StatusList.as_view(), name="status-list"),
    path("codes/reasons/", reference.ReasonList.as_view(), name="reason-list"),
    path("schema/", reference.Schema.as_view(), name="schema"),
    re_path("", base.NoSuchAddress.as_view(), name="nothing"),
]
