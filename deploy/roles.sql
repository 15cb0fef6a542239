-- Two roles instead of one: `navette` owns the tables and migrates, `navette_app` is what web and workers log in as.
-- The second can add to the history but neither change, remove nor truncate it, nor switch its triggers off.
--
-- Once, as a superuser:                  createuser navette; createuser navette_app (each with a password),
--                                        createdb --owner navette navette
-- After every migration, as the owner:   psql "$OWNER_DATABASE_URL" -f deploy/roles.sql
--
-- Then DATABASE_URL names `navette_app` for web and workers, and `navette` for `manage.py migrate` and
-- `manage.py purge_invoices`, which deletes what need not be kept any more.

GRANT USAGE ON SCHEMA public TO navette_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO navette_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO navette_app;

REVOKE UPDATE, DELETE, TRUNCATE ON lifecycle_statusevent, lifecycle_relayattempt, lifecycle_historyanchor FROM navette_app;
-- The worker deletes entries past their time; the table's trigger refuses younger ones.
REVOKE UPDATE, TRUNCATE ON invoices_auditentry FROM navette_app;
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM navette_app;
