-- roles
-- Roles belong to the whole server: one that is there already is left alone.
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['school_office', 'school_teacher', 'school_nurse', 'school_report'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', r);
        END IF;
    END LOOP;
END
$$;
GRANT school_report TO school_office;
COMMENT ON ROLE school_nurse IS 'May read health notes, nobody else but the owner may';
