-- Two roles instead of one: `navette_owner` owns the tables and migrates, `navette` is what web and workers log in as.
-- The second can add to the history but neither change, remove nor truncate it, nor switch its triggers off.
--
-- Once, as a superuser:                  createuser navette_owner; createuser navette (each with a password),
--                                        createdb --owner navette_owner navette
-- After every migration, as the owner:   psql "$OWNER_DATABASE_URL" -f deploy/roles.sql
--
-- Then DATABASE_URL names `navette` for web and workers, and `navette_owner` for `manage.py migrate` and
-- `manage.py purge_invoices`, which deletes what need not be kept any more.

GRANT USAGE ON SCHEMA public TO navette;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO navette;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO navette;

REVOKE UPDATE, DELETE, TRUNCATE ON lifecycle_statusevent, lifecycle_historyanchor FROM navette;
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM navette;
