-- views, triggers and rights
CREATE VIEW people.class_list AS
    SELECT c.name AS class, s.number, s.full_name FROM teaching.class AS c JOIN teaching.enrolment AS n ON n.class_id = c.id JOIN people.student AS s ON s.id = n.student_id
    WHERE n.until IS NULL;
CREATE VIEW fees.unpaid WITH (security_barrier) AS
    SELECT i.number, i.student_id, i.due, sum(l.total) AS total FROM fees.invoice AS i JOIN fees.invoice_line AS l ON l.invoice_id = i.id WHERE i.state IN ('sent', 'part paid') GROUP BY i.id;
CREATE RECURSIVE VIEW teaching.next_days (day) AS SELECT date '2026-06-26' UNION ALL SELECT day + 1 FROM next_days WHERE day < '2026-07-03';
CREATE MATERIALIZED VIEW fees.month_total AS
    SELECT date_trunc('month', booked)::date AS month, sum(debit) AS debit, sum(credit) AS credit, count(*) AS entries FROM fees.ledger GROUP BY 1;
CREATE UNIQUE INDEX ON fees.month_total (month);
CREATE MATERIALIZED VIEW teaching.not_filled AS SELECT count(*) FROM teaching.attendance WITH NO DATA;

CREATE FUNCTION people.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at := statement_timestamp();
    RETURN NEW;
END
$$;
CREATE FUNCTION audit.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO audit.change (at, who, what, before, after)
        VALUES (statement_timestamp(), session_user, TG_OP || ' ' || TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END
$$;
CREATE FUNCTION people.enter_class() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO teaching.enrolment (class_id, student_id, since)
        SELECT c.id, s.id, current_date FROM teaching.class AS c, people.student AS s WHERE c.name = NEW.class AND s.number = NEW.number;
    RETURN NEW;
END
$$;
CREATE TRIGGER stamp BEFORE UPDATE ON people.student FOR EACH ROW EXECUTE FUNCTION people.stamp();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON people.student FOR EACH ROW EXECUTE FUNCTION audit.record();
CREATE CONSTRAINT TRIGGER record AFTER DELETE ON fees.payment DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.record();
CREATE TRIGGER enter INSTEAD OF INSERT ON people.class_list FOR EACH ROW EXECUTE FUNCTION people.enter_class();
ALTER TABLE fees.payment DISABLE TRIGGER record;
CREATE RULE keep AS ON DELETE TO audit.change DO INSTEAD NOTHING;
CREATE PROCEDURE fees.remind(day date) LANGUAGE sql AS $$
    INSERT INTO fees.reminder SELECT id, 3, day FROM fees.invoice WHERE state = 'part paid' AND due < day - 60 ON CONFLICT DO NOTHING
$$;
UPDATE people.student SET left_on = date '2026-03-31' WHERE id % 29 = 0;

DROP SCHEMA seed CASCADE;
CREATE FUNCTION audit.note_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.dropped SELECT statement_timestamp(), session_user, object_identity FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table' AND NOT is_temporary;
END
$$;
CREATE EVENT TRIGGER note_drop ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA') EXECUTE FUNCTION audit.note_drop();
COMMENT ON EVENT TRIGGER note_drop IS 'Who dropped a table, and when';

ALTER TABLE people.health_note ENABLE ROW LEVEL SECURITY;
CREATE POLICY nurse_reads ON people.health_note FOR SELECT TO school_nurse USING (noted > date '2020-01-01');
GRANT USAGE ON SCHEMA people, teaching, fees, library, transport, files TO school_office, school_teacher, school_nurse, school_report;
GRANT SELECT ON ALL TABLES IN SCHEMA people, teaching, fees, library, transport, files TO school_report;
GRANT INSERT, UPDATE ON fees.invoice, fees.invoice_line, fees.payment TO school_office WITH GRANT OPTION;
GRANT SELECT (id, first_name, last_name), UPDATE (email) ON people.student TO school_teacher;
GRANT SELECT ON people.health_note TO school_nurse;
GRANT USAGE ON SEQUENCE fees.invoice_number TO school_office;
REVOKE EXECUTE ON PROCEDURE fees.remind(date) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA fees GRANT SELECT ON TABLES TO school_report;
ALTER TABLE library.loan OWNER TO school_office;
-- statistics
ANALYZE;
