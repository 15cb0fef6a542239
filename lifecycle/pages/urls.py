"""Addresses of the desk."""

from django.urls import path

from . import (
    audit,
    connections,
    dashboard,
    decisions,
    deliveries,
    drafts,
    export,
    invoices,
    issuing,
    relays,
    tokens,
    validation,
    worklist,
)

app_name = "lifecycle"

urlpatterns = [
    path("", worklist.worklist, name="worklist"),
    path("worklist/live/", worklist.worklist_live, name="worklist_live"),
    path("invoices/", invoices.invoice_list, name="invoices"),
    path("invoices/export/", export.export_many, name="export_many"),
    path("invoices/take-in-hand/", decisions.take_in_hand, name="take_in_hand"),
    path("invoices/<uuid:invoice_id>/", invoices.invoice, name="invoice"),
    path("invoices/<uuid:invoice_id>/document/", invoices.invoice_document, name="invoice_document"),
    path("invoices/<uuid:invoice_id>/export/", export.export_one, name="export_one"),
    path("relays/<uuid:relay_id>/proof/", export.export_proof, name="export_proof"),
    path("invoices/<uuid:invoice_id>/live/", invoices.invoice_live, name="invoice_live"),
    path("invoices/<uuid:invoice_id>/decide/<str:status>/", decisions.decide, name="decide"),
    path("invoices/<uuid:invoice_id>/comments/", invoices.comment, name="comment"),
    path("invoices/<uuid:invoice_id>/account/", invoices.acknowledge_account, name="acknowledge_account"),
    path("invoices/<uuid:invoice_id>/assignment/", invoices.assign, name="assign"),
    path("invoices/<uuid:invoice_id>/answers/<uuid:event_id>/", invoices.settle_answer, name="settle_answer"),
    path("invoices/<uuid:invoice_id>/validation/", validation.check_again, name="check_again"),
    path("issuing/", issuing.upload, name="issuing"),
    path("issuing/drafts/", drafts.begin, name="begin_draft"),
    path("issuing/drafts/<uuid:draft_id>/", drafts.draft, name="draft"),
    path("issuing/drafts/<uuid:draft_id>/preview/", drafts.preview, name="draft_preview"),
    path("issuing/drafts/<uuid:draft_id>/reopen/", drafts.reopen, name="reopen_draft"),
    path("invoices/<uuid:invoice_id>/follow/<slug:kind>/", drafts.follow, name="follow"),
    path("issuing/files/<uuid:relay_id>/", issuing.upload_row, name="upload_row"),
    path("relays/", relays.relay_list, name="relays"),
    path("relays/<uuid:relay_id>/<slug:name>/", relays.relay_action, name="relay_action"),
    path("deliveries/", deliveries.delivery_list, name="deliveries"),
    path("deliveries/replay/", deliveries.replay, name="replay"),
    path("deliveries/<uuid:delivery_id>/", deliveries.delivery, name="delivery"),
    path("connections/", connections.connection_list, name="connections"),
    path("connections/<uuid:connection_id>/check/", connections.check, name="check"),
    path("audit/", audit.audit_log, name="audit_log"),
    path("audit/export/", audit.export_audit_log, name="export_audit_log"),
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.revoke_token, name="revoke_token"),
    path("dashboard/", dashboard.dashboard, name="dashboard"),
]
