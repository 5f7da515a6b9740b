-- tables: fees, library, transport, files and audit
CREATE TABLE fees.fee (id smallint NOT NULL, name text NOT NULL, amount fees.amount NOT NULL, per text NOT NULL);
CREATE TABLE fees.discount (student_id integer NOT NULL, percent smallint NOT NULL CHECK (percent BETWEEN 1 AND 100), why text NOT NULL, during daterange NOT NULL);
CREATE TABLE fees.invoice (
    id         bigint NOT NULL,
    number     text NOT NULL DEFAULT 'R-' || nextval('fees.invoice_number'),
    student_id integer NOT NULL,
    issued     date NOT NULL,
    due        date NOT NULL,
    state      fees.invoice_state NOT NULL,
    CHECK (due >= issued)
);
ALTER SEQUENCE fees.invoice_number OWNED BY fees.invoice.number;
CREATE TABLE fees.invoice_line (
    invoice_id bigint NOT NULL,
    line       smallint NOT NULL,
    fee_id     smallint NOT NULL,
    quantity   smallint NOT NULL,
    price      fees.amount NOT NULL,
    total      numeric(12, 2) GENERATED ALWAYS AS (quantity * price) STORED
);
CREATE TABLE fees.payment (
    id         uuid NOT NULL,
    invoice_id bigint NOT NULL,
    received   timestamptz NOT NULL,
    amount     fees.amount NOT NULL,
    method     fees.method NOT NULL,
    reference  text
);
CREATE TABLE fees.reminder (invoice_id bigint NOT NULL, level smallint NOT NULL, sent date NOT NULL);
CREATE TABLE fees.ledger (
    booked  date NOT NULL,
    id      bigint NOT NULL,
    account integer NOT NULL,
    debit   fees.amount NOT NULL,
    credit  fees.amount NOT NULL,
    text    text NOT NULL
) PARTITION BY RANGE (booked);
DO $$
DECLARE
    month date;
BEGIN
    FOR month IN SELECT generate_series('2025-08-01'::date, '2026-07-01', '1 month') LOOP
        EXECUTE format('CREATE TABLE fees.%I PARTITION OF fees.ledger FOR VALUES FROM (%L) TO (%L)',
            'ledger_' || to_char(month, 'YYYY_MM'), month, (month + interval '1 month')::date);
    END LOOP;
END
$$;
CREATE TABLE fees.ledger_other PARTITION OF fees.ledger DEFAULT;

CREATE TABLE library.author (id integer NOT NULL, name text NOT NULL);
CREATE TABLE library.book (
    id       integer NOT NULL,
    title    text NOT NULL,
    isbn     text,
    subjects text[] NOT NULL,
    details  json
);
CREATE TABLE library.book_author (book_id integer NOT NULL, author_id integer NOT NULL);
CREATE TABLE library.copy (id integer NOT NULL, book_id integer NOT NULL, shelf text NOT NULL, worn boolean NOT NULL);
CREATE TABLE library.loan (copy_id integer NOT NULL, student_id integer NOT NULL, lent date NOT NULL, back date);

CREATE TABLE transport.vehicle (id smallint NOT NULL, plate text NOT NULL, seats smallint NOT NULL, inspected date, box inet);
CREATE TABLE transport.route (id smallint NOT NULL, name text NOT NULL, vehicle_id smallint NOT NULL);
CREATE TABLE transport.stop (route_id smallint NOT NULL, n smallint NOT NULL, name text NOT NULL, at time NOT NULL, place point NOT NULL);
CREATE TABLE transport.pass (student_id integer NOT NULL, route_id smallint NOT NULL, valid daterange NOT NULL);

CREATE TABLE files.attachment (
    id         integer GENERATED ALWAYS AS IDENTITY,
    student_id integer NOT NULL,
    name       text NOT NULL,
    mime       text NOT NULL,
    content    bytea NOT NULL,
    size       integer GENERATED ALWAYS AS (octet_length(content)) STORED
);
CREATE TABLE files.scan (
    id         integer NOT NULL,
    student_id integer NOT NULL,
    title      text NOT NULL,
    document   oid NOT NULL
);
COMMENT ON COLUMN files.scan.document IS 'A large object';
CREATE UNLOGGED TABLE files.upload (token uuid NOT NULL, started timestamptz NOT NULL, bytes bigint NOT NULL);

CREATE TABLE audit.change (
    id     bigint GENERATED ALWAYS AS IDENTITY,
    ticket bigint NOT NULL DEFAULT nextval('audit.ticket'),
    at     timestamptz NOT NULL,
    who    name NOT NULL,
    what   text NOT NULL,
    before jsonb,
    after  jsonb
);
CREATE TABLE audit.dropped (at timestamptz NOT NULL, who name NOT NULL, object text NOT NULL);
