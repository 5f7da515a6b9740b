-- staff, rooms and subjects
INSERT INTO teaching.school_year VALUES
    (2024, '2024/25', '[2024-08-01,2025-08-01)'), (2025, '2025/26', '[2025-08-01,2026-08-01)'), (2026, '2026/27', '[2026-08-01,2027-08-01)');
INSERT INTO teaching.term
    SELECT y.id * 10 + t, y.id, (ARRAY['Autumn', 'Spring'])[t],
        daterange(lower(y.during) + 181 * (t - 1), CASE t WHEN 1 THEN lower(y.during) + 181 ELSE upper(y.during) END)
    FROM teaching.school_year AS y, generate_series(1, 2) AS t;
INSERT INTO teaching.subject VALUES
    (1, 'MA', 'Mathematics', 2), (2, 'EN', 'English', 2), (3, 'DE', 'German', 2), (4, 'FR', 'French', 1.5), (5, 'BI', 'Biology', 1),
    (6, 'CH', 'Chemistry', 1), (7, 'PH', 'Physics', 1), (8, 'HI', 'History', 1), (9, 'GE', 'Geography', 1), (10, 'AR', 'Art', 0.75),
    (11, 'MU', 'Music', 0.75), (12, 'SP', 'Sport', 0.75), (13, 'CS', 'Computing', 1), (14, 'PL', 'Philosophy', 1);
INSERT INTO teaching.room
    SELECT i, chr(64 + 1 + i / 20) || lpad((i % 20)::text, 2, '0'), 16 + seed.pick(i, 3, 18), point(i % 20 * 8.5, i / 20 * 12),
        format('((%1$s,%2$s),(%3$s,%2$s),(%3$s,%4$s),(%1$s,%4$s))', i % 20 * 8.5, i / 20 * 12, i % 20 * 8.5 + 8, i / 20 * 12 + 10)::polygon
    FROM generate_series(1, 60) AS i;
INSERT INTO people.staff (short, first_name, last_name, email, hired, hours, office)
    SELECT upper(left(translate(seed.last(i + 90000), '''', ''), 2)) || lpad((i % 100)::text, 2, '0'), seed.first(i + 90000), seed.last(i + 90000),
        'staff' || i || '@school.example', date '1995-08-01' + seed.pick(i, 4, 10900), 10 + seed.pick(i, 5, 31) / 2.0, CASE WHEN i % 9 = 0 THEN 'Office ' || i % 5 END
    FROM generate_series(1, {{staff}}) AS i;
INSERT INTO people.visitor (first_name, last_name, born, phone, noted_at, badge, reason, came, went)
    SELECT seed.first(i + 70000), seed.last(i + 70000), NULL, '+49 30 ' || 1000000 + seed.pick(i, 6, 8999999), seed.at('2025-09-01', i * 9000), i % 40,
        seed.one(i, 7, '{delivery,meeting,repair,talk}'), seed.at('2025-09-01', i * 9000), CASE WHEN i % 11 > 0 THEN seed.at('2025-09-01', i * 9000 + 600 + seed.pick(i, 8, 9000)) END
    FROM generate_series(1, 200) AS i;
INSERT INTO people.volunteer (first_name, last_name, born, phone, noted_at, helps, checked)
    SELECT seed.first(i + 71000), seed.last(i + 71000), date '1955-01-01' + seed.pick(i, 6, 15000), NULL, seed.at('2025-08-20', i * 3600),
        (ARRAY['library', 'canteen', 'garden', 'reading', 'excursions'])[1 + i % 3 : 3 + i % 3], CASE WHEN i % 5 > 0 THEN date '2025-08-01' + i % 30 END
    FROM generate_series(1, 40) AS i;
-- students and guardians
INSERT INTO people.student (number, first_name, last_name, sex, born, home, email, languages, joined, left_on, changed_at)
    SELECT 'S' || lpad(i::text, 7, '0'), seed.first(i), seed.last(i), seed.one(i, 10, '{female,female,female,female,male,male,male,male,diverse}')::people.sex,
        date '2007-07-01' + seed.pick(i, 11, 2920),
        ROW(seed.one(i, 12, '{Mill Lane,Station Road,Park Street,Church Hill,Garden Row,High Street,"Am Anger",Lindenweg,"Rue de l’École"}'),
            1 + seed.pick(i, 13, 140), lpad((10000 + seed.pick(i, 14, 4999))::text, 5, '0'), seed.one(i, 15, '{Northfield,Eastbrook,Westhaven,Southmere}'))::people.postal_address,
        CASE WHEN i % 4 > 0 THEN 'Student' || i || '@school.example' END,
        (ARRAY['de', 'en', 'tr', 'ar', 'pl', 'uk', 'fr'])[1 + i % 5 : 1 + i % 5 + i % 2],
        date '2018-08-01' + 365 * seed.pick(i, 16, 8), CASE WHEN i % 47 = 0 THEN date '2026-02-01' + i % 60 END, seed.at('2025-08-15', i % 86400)
    FROM generate_series(1, {{students}}) AS i;
INSERT INTO people.guardian (first_name, last_name, email, phone, iban, newsletter)
    SELECT seed.first(i + 50000), seed.last((i + 1) / 2), CASE WHEN i % 7 > 0 THEN 'home' || i || '@mail.example' END,
        '+49 1' || 500000000 + seed.pick(i, 20, 299999999), CASE WHEN i % 2 = 1 THEN 'DE00' || lpad(seed.pick(i, 21, 999999999)::text, 18, '0') END, i % 3 > 0
    FROM generate_series(1, {{students}} * 2) AS i;
INSERT INTO people.student_guardian
    SELECT (g + 1) / 2, g, CASE WHEN g % 29 = 0 THEN 'grandparent' WHEN g % 2 = 0 THEN 'mother' ELSE 'father' END, g % 31 > 0
    FROM generate_series(1, {{students}} * 2) AS g;
INSERT INTO people.health_note (student_id, noted, note)
    SELECT i, date '2025-08-20' + i % 200, seed.one(i, 22, '{"Allergic to peanuts","Asthma, spray in the office","Wears lenses","Bee stings: call at once","No sport until the plaster is off"}')
    FROM generate_series(1, {{students}}, 6) AS i;
INSERT INTO teaching.class
    SELECT c, 5 + c % 8 || chr(97 + c / 8 % 26), 5 + c % 8, 1 + c % {{staff}}, 1 + c % 60 FROM generate_series(0, {{classes}} - 1) AS c;
INSERT INTO teaching.enrolment
    SELECT i % {{classes}}, i, '2025-08-01', CASE WHEN i % 47 = 0 THEN date '2026-02-01' + i % 60 END FROM generate_series(1, {{students}}) AS i;
INSERT INTO teaching.lesson (class_id, subject_id, staff_id, room_id, day, at)
    SELECT c, 1 + (c + h) % 14, 1 + seed.pick(c * 40 + h, 30, {{staff}}), 1 + (c + h * 7) % 60, (enum_range(NULL::teaching.weekday))[1 + h / 6],
        teaching.time_span(time '08:00' + h % 6 * interval '50 minutes', time '08:45' + h % 6 * interval '50 minutes')
    FROM generate_series(0, {{classes}} - 1) AS c, generate_series(0, 29) AS h;
-- attendance
INSERT INTO teaching.attendance
    SELECT i, d.day, m.mark, CASE m.mark WHEN 'late' THEN 1 + seed.pick(i * 300 + d.n, 41, 40) END, 1 + (i + d.n) % {{staff}}
    FROM seed.day AS d, generate_series(1, {{students}}) AS i,
        LATERAL (SELECT CASE WHEN k < 920 THEN 'present' WHEN k < 955 THEN 'late' WHEN k < 990 THEN 'excused' ELSE 'absent' END::teaching.mark AS mark
            FROM seed.pick(i * 300 + d.n, 40, 1000) AS k) AS m;
-- exams, grades and report cards
INSERT INTO teaching.exam
    SELECT c * 100 + e, c, 1 + e % 14, d.day, CASE WHEN e < 14 THEN 'First test' WHEN e < 28 THEN 'Second test' ELSE 'Project' END || ', ' || seed.word(c * 100 + e, 45), CASE WHEN e < 28 THEN 1 ELSE 1.5 END
    FROM generate_series(0, {{classes}} - 1) AS c, generate_series(0, 41) AS e JOIN seed.day AS d ON d.n = 8 + e * 4;
INSERT INTO teaching.grade
    SELECT e.id, n.student_id, least(6, greatest(1, 1 + (seed.pick(e.id, 46, 20) + seed.pick(n.student_id, 47, 20) + seed.pick(e.id::bigint * 100000 + n.student_id, 48, 20)) / 12.0)),
        CASE WHEN seed.pick(e.id::bigint * 100000 + n.student_id, 49, 30) = 0 THEN seed.words(e.id::bigint * 100000 + n.student_id, 6) END
    FROM teaching.exam AS e JOIN teaching.enrolment AS n ON n.class_id = e.class_id;
INSERT INTO teaching.report_card
    SELECT g.student_id, 20251, timestamp '2026-01-30 09:00' + make_interval(secs => g.student_id % 5000),
        jsonb_build_object('class', c.name, 'subjects', jsonb_object_agg(s.short, g.average ORDER BY s.id), 'remark', seed.words(g.student_id, 14), 'signed', true)
    FROM (SELECT g.student_id, e.class_id, e.subject_id, teaching.weighted_average(g.points, e.weight) AS average
            FROM teaching.grade AS g JOIN teaching.exam AS e ON e.id = g.exam_id GROUP BY 1, 2, 3) AS g
        JOIN teaching.class AS c ON c.id = g.class_id JOIN teaching.subject AS s ON s.id = g.subject_id
    GROUP BY g.student_id, c.name;
INSERT INTO teaching.announcement (posted, author, title, body)
    SELECT seed.at('2025-08-18', i * 3000), 1 + i % {{staff}}, seed.words(i + 300000, 4), seed.words(i, 40) || E'\n\n' || seed.words(i + 100000, 50)
    FROM generate_series(1, 100 + {{students}} / 2) AS i;
-- invoices
INSERT INTO fees.fee VALUES (1, 'Lunch', 4.20, 'meal'), (2, 'Bus pass', 39, 'month'), (3, 'Books', 45.50, 'term'), (4, 'After-school care', 65, 'month'), (5, 'Excursion', 18, 'piece'), (6, 'Locker', 2.5, 'month');
INSERT INTO fees.discount
    SELECT i, (ARRAY[10, 25, 50, 100])[1 + i % 4], seed.one(i, 50, '{second child,grant,staff}'), daterange('2025-08-01', CASE WHEN i % 3 > 0 THEN date '2026-08-01' END)
    FROM generate_series(1, {{students}}, 9) AS i;
INSERT INTO fees.invoice (id, student_id, issued, due, state)
    SELECT i.id, i.student_id, i.issued, i.issued + 21,
        CASE WHEN seed.pick(i.id, 51, 60) = 0 THEN 'cancelled' WHEN i.issued > '2026-05-31' THEN 'sent' WHEN seed.pick(i.id, 52, 25) = 0 THEN 'part paid' ELSE 'paid' END::fees.invoice_state
    FROM (SELECT (s - 1) * 12::bigint + m + 1 AS id, s AS student_id, (date '2025-08-01' + make_interval(months => m))::date + s % 5 AS issued
        FROM generate_series(1, {{students}}) AS s, generate_series(0, 11) AS m) AS i
    ORDER BY i.issued, i.id;
INSERT INTO fees.invoice_line (invoice_id, line, fee_id, quantity, price)
    SELECT i.id, l, f.id, CASE f.id WHEN 1 THEN 8 + seed.pick(i.id, 53, 14) ELSE 1 END, f.amount
    FROM fees.invoice AS i, generate_series(1, 3) AS l JOIN fees.fee AS f ON true
    WHERE f.id = CASE l WHEN 1 THEN 1 WHEN 2 THEN 2 + i.student_id % 3 ELSE 4 + i.id % 3 END;
-- payments and the ledger
INSERT INTO fees.payment
    SELECT md5('payment ' || i.id)::uuid, i.id, seed.at(i.issued + 1 + seed.pick(i.id, 54, 30), seed.pick(i.id, 55, 86400)),
        CASE i.state WHEN 'part paid' THEN 20 ELSE t.total END, (enum_range(NULL::fees.method))[1 + seed.pick(i.student_id, 56, 4)], CASE WHEN i.id % 5 > 0 THEN i.number END
    FROM fees.invoice AS i JOIN (SELECT invoice_id, sum(total) AS total FROM fees.invoice_line GROUP BY 1) AS t ON t.invoice_id = i.id
    WHERE i.state IN ('paid', 'part paid');
INSERT INTO fees.reminder
    SELECT id, l, due + 14 * l FROM fees.invoice, generate_series(1, 2) AS l WHERE state = 'part paid' AND (l = 1 OR id % 3 = 0);
INSERT INTO fees.ledger
    SELECT i.issued, i.id * 4, 1400, t.total, 0, 'Invoice ' || i.number
    FROM fees.invoice AS i JOIN (SELECT invoice_id, sum(total) AS total FROM fees.invoice_line GROUP BY 1) AS t ON t.invoice_id = i.id
    UNION ALL
    SELECT received::date, invoice_id * 4 + 1, CASE method WHEN 'cash' THEN 1000 ELSE 1200 END, 0, amount, 'Payment by ' || method || coalesce(', ' || reference, '')
    FROM fees.payment
    UNION ALL
    SELECT date '2024-01-01' + i, -i, 9000, i, 0, 'Carried over from the old books' FROM generate_series(1, 60) AS i;
-- library and transport
INSERT INTO library.author SELECT i, seed.first(i + 40000) || ' ' || seed.last(i + 40000) FROM generate_series(1, 300) AS i;
INSERT INTO library.book
    SELECT i, initcap(seed.word(i, 60) || ' ' || seed.word(i, 61)) || ' and the ' || seed.word(i, 62), CASE WHEN i % 8 > 0 THEN '978-' || lpad(seed.pick(i, 63, 999999999)::text, 9, '0') || '-' || i % 10 END,
        (ARRAY['fiction', 'history', 'science', 'atlas', 'poetry'])[1 + i % 4 : 1 + i % 4 + i % 2], json_build_object('pages', 60 + seed.pick(i, 64, 500), 'year', 1950 + i % 75, 'bound', i % 2 = 0)
    FROM generate_series(1, 400 + {{students}} / 2) AS i;
INSERT INTO library.book_author SELECT id, 1 + a * 97 % 300 FROM library.book, LATERAL generate_series(id, id + (id % 5 = 0)::integer) AS a;
INSERT INTO library.copy SELECT b.id * 10 + c, b.id, chr(65 + b.id % 20) || b.id % 9, seed.pick(b.id * 10 + c, 65, 8) = 0 FROM library.book AS b, LATERAL generate_series(1, 1 + b.id % 3) AS c;
INSERT INTO library.loan
    SELECT c.id, 1 + seed.pick(c.id * 20 + l, 66, {{students}}), d.day, CASE WHEN l < 7 OR c.id % 4 > 0 THEN d.day + 2 + seed.pick(c.id * 20 + l, 67, 20) END
    FROM library.copy AS c, generate_series(0, 7) AS l JOIN seed.day AS d ON d.n = 1 + l * 24;
INSERT INTO transport.vehicle SELECT i, 'NF-' || chr(64 + i) || 'B ' || 100 + i * 7, 28 + i % 3 * 12, CASE WHEN i <> 4 THEN date '2025-01-15' + i * 20 END, ('10.20.0.' || i)::inet FROM generate_series(1, 12) AS i;
INSERT INTO transport.route SELECT i, 'Line ' || i, 1 + i % 12 FROM generate_series(1, 15) AS i;
INSERT INTO transport.stop
    SELECT r, n, seed.one(r * 100 + n, 70, '{Mill,Bridge,Town Hall,Forest Edge,Pool,Old Market,Station,Clinic,Windmill,Chapel}') || ' ' || n, time '06:50' + n * interval '4 minutes', point(13 + r * 0.013 + n * 0.002, 52 + n * 0.004)
    FROM generate_series(1, 15) AS r, generate_series(1, 14) AS n;
INSERT INTO transport.pass SELECT i, 1 + i % 15, daterange('2025-08-01', '2026-08-01') FROM generate_series(1, {{students}}, 3) AS i;
-- attachments
INSERT INTO files.attachment (student_id, name, mime, content)
    SELECT i, CASE i % 3 WHEN 0 THEN 'photo-' ELSE 'letter-' END || i || CASE i % 3 WHEN 0 THEN '.jpeg' ELSE '.txt' END, CASE i % 3 WHEN 0 THEN 'image/jpeg' ELSE 'text/plain' END,
        CASE i % 3 WHEN 0 THEN '\xffd8ffe000104a464946'::bytea || seed.noise(i, 100 + seed.pick(i, 80, 400))
        ELSE convert_to(seed.words(i, 200 + seed.pick(i, 80, 300)), 'UTF8') END
    FROM generate_series(1, {{students}}) AS i;
INSERT INTO files.scan
    SELECT i, 1 + i * 20 % {{students}}, 'Scan ' || i, lo_from_bytea(0, CASE WHEN i = 1 THEN ''::bytea ELSE '\x255044462d312e370a'::bytea || seed.noise(i + 5000000, 400 + seed.pick(i, 81, 1600)) END)
    FROM generate_series(1, 5 + {{students}} / 25) AS i;
INSERT INTO files.upload SELECT md5('upload ' || i)::uuid, seed.at('2026-06-01', i * 600), i * 4096 FROM generate_series(1, 25) AS i;
DO $$
BEGIN
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', (SELECT document FROM files.scan WHERE id = 2), 'The first scan that has pages');
    EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO school_office', (SELECT document FROM files.scan WHERE id = 2));
END
$$;
-- odd names and values
INSERT INTO "Odd Names"."it's ""quoted"", and; more" VALUES (1, 'plain'), (2, E'two\nlines, a \t tab, a \\ backslash'), (3, '\N'), (4, '\.'), (5, ''), (6, NULL), (7, '''single'' "double" $$dollar$$ %s %%');
INSERT INTO "Odd Names".U&"two\000Alines" VALUES (1, E'\u0001\u007f and \r\n'), (2, '🙂 émoji and e' || U&'\0301');
INSERT INTO "Odd Names"."100% of %s and %d" VALUES (1, 50.5), (2, 'NaN'), (3, 1e-40);
INSERT INTO "Odd Names"."學生成績表" SELECT i, (ARRAY['林美玲', '陳志明', '王小華'])[1 + i % 3] FROM generate_series(1, 30) AS i;
INSERT INTO "Odd Names"."學生姓名班級成績出席圖書館交通費用收據附件" VALUES (1, repeat('備', 21));
INSERT INTO "Odd Names"."a_name_that_takes_all_of_the_sixty_three_bytes_that_are_allowed" VALUES (1, 'a');
INSERT INTO "Odd Names"." spaces around " VALUES (1, ' spaces around ');
INSERT INTO "Odd Names"."back\slash and $1" VALUES (1, 'C:\new\table');
INSERT INTO "Odd Names"."dot.dot" VALUES (1, 'a.b');
INSERT INTO "Odd Names"."-- no comment" VALUES (1, '-- no comment');
INSERT INTO "Odd Names".U&"\001B[31mred\001B[0m" VALUES (1, U&'\001B[31mred\001B[0m');
INSERT INTO "Odd Names"."no columns" SELECT FROM generate_series(1, 3);
INSERT INTO "Odd Names"."ORDER" VALUES (1, 'BY');
INSERT INTO "Odd Names".every_type VALUES
    (1, true, 32767, 9223372036854775807, 12345678901234567890.123456789, 3.14, 2.718281828459045, '1234.56', 'abc', 'text', '\x00ff10', '2024-02-29', '23:59:59.999999',
     '12:00:00+02', '1999-12-31 23:59:59', '2026-01-01 00:00:00+00', '1 year 2 mons 3 days 04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1, "a": [null, 2]}', '{"b": 1, "a": [null, 2]}',
     '192.168.1.5/24', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101010', B'110', '(1.5,-2)', '<(0,0),5>', '[1,10)', 'fat & (rat | cat)', '{{1,2},{3,NULL}}', '{"a b","c\"d","",NULL,"NULL"}', 'pg_class'),
    (2, false, -32768, -9223372036854775808, '-0.00000000000000000001', '-Infinity', 'NaN', '-0.01', '', '', '', 'infinity', '00:00', '24:00:00-15:59', '-infinity', '4713-01-01 00:00:00+00 BC',
     '-178000000 years', '00000000-0000-0000-0000-000000000000', 'null', '"\u00e9"', '::1', '::/0', 'ff:ff:ff:ff:ff:ff', B'00000000', B'', '(Infinity,NaN)', '<(1e300,1e-300),0>', 'empty', '', '{}', '{}', NULL);
INSERT INTO "Odd Names".every_type (id) VALUES (3);
