from django.db import migrations

FORBID = """
CREATE FUNCTION lifecycle_forbid_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Status events are append-only: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER status_events_are_append_only BEFORE UPDATE OR DELETE ON lifecycle_statusevent
    FOR EACH ROW EXECUTE FUNCTION lifecycle_forbid_rewriting();
CREATE TRIGGER status_events_are_not_truncated BEFORE TRUNCATE ON lifecycle_statusevent
    FOR EACH STATEMENT EXECUTE FUNCTION lifecycle_forbid_rewriting();
"""

ALLOW = """
DROP TRIGGER status_events_are_append_only ON lifecycle_statusevent;
DROP TRIGGER status_events_are_not_truncated ON lifecycle_statusevent;
DROP FUNCTION lifecycle_forbid_rewriting;
"""


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0001_initial")]

    operations = [migrations.RunSQL(FORBID, ALLOW)]
