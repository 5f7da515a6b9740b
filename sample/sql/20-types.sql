-- schemas, extensions, types and functions
CREATE SCHEMA people;
CREATE SCHEMA teaching;
CREATE SCHEMA fees;
CREATE SCHEMA library;
CREATE SCHEMA transport;
CREATE SCHEMA files;
CREATE SCHEMA audit;
COMMENT ON SCHEMA fees IS 'Invoices, payments and the ledger';

CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;

CREATE TYPE people.sex AS ENUM ('female', 'male', 'diverse');
CREATE TYPE people.postal_address AS (street text, number text, postcode text, city text);
CREATE TYPE teaching.weekday AS ENUM ('Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday');
CREATE TYPE teaching.mark AS ENUM ('present', 'late', 'excused', 'absent');
CREATE TYPE fees.invoice_state AS ENUM ('draft', 'sent', 'part paid', 'paid', 'cancelled');
CREATE TYPE fees.method AS ENUM ('bank transfer', 'direct debit', 'card', 'cash');
CREATE TYPE teaching.time_span AS RANGE (subtype = time);

CREATE DOMAIN people.email AS citext CHECK (VALUE ~ '^[^@ ]+@[^@ ]+\.[a-z]+$');
CREATE DOMAIN fees.amount AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE DOMAIN teaching.points AS numeric(3, 1) CHECK (VALUE BETWEEN 1 AND 6);
COMMENT ON DOMAIN teaching.points IS '1 is best, 6 is worst';

CREATE SEQUENCE fees.invoice_number START 10001 INCREMENT 1 CACHE 1;
CREATE SEQUENCE audit.ticket START 1000 INCREMENT 10 MINVALUE 1000 MAXVALUE 999990 CYCLE;

CREATE FUNCTION people.full_name(first text, last text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT last || ', ' || first $$;

CREATE FUNCTION teaching.weighted_step(state numeric[], value numeric, weight numeric) RETURNS numeric[]
    LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[state[1] + value * weight, state[2] + weight] $$;
CREATE FUNCTION teaching.weighted_end(state numeric[]) RETURNS numeric
    LANGUAGE sql IMMUTABLE AS $$ SELECT round(state[1] / nullif(state[2], 0), 2) $$;
CREATE AGGREGATE teaching.weighted_average(numeric, numeric) (
    SFUNC = teaching.weighted_step, STYPE = numeric[], INITCOND = '{0,0}', FINALFUNC = teaching.weighted_end);
