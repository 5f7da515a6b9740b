-- tables: names and values that trip up programs
CREATE SCHEMA "Odd Names";
COMMENT ON SCHEMA "Odd Names" IS E'Names that a person could choose, and some that only a program would:\nquotes, line breaks, percent signs, writing from elsewhere';

CREATE TABLE "Odd Names"."it's ""quoted"", and; more" ("a ""column""" integer PRIMARY KEY, "select" text);
CREATE TABLE "Odd Names".U&"two\000Alines" (id integer PRIMARY KEY, U&"tab\0009here" text);
CREATE TABLE "Odd Names"."100% of %s and %d" (id integer PRIMARY KEY, "50%" numeric);
CREATE TABLE "Odd Names"."學生成績表" ("學號" integer PRIMARY KEY, "姓名" text);
CREATE TABLE "Odd Names"."學生姓名班級成績出席圖書館交通費用收據附件" (id integer PRIMARY KEY, "備註" text);
CREATE TABLE "Odd Names"."a_name_that_takes_all_of_the_sixty_three_bytes_that_are_allowed" (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names"." spaces around " (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names"."back\slash and $1" (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names"."dot.dot" (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names"."-- no comment" (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names".U&"\001B[31mred\001B[0m" (id integer PRIMARY KEY, t text);
CREATE TABLE "Odd Names"."no columns" ();
CREATE TABLE "Odd Names"."ORDER" (id integer PRIMARY KEY, t text);

CREATE TABLE "Odd Names".every_type (
    id          integer PRIMARY KEY,
    t_bool      boolean,
    t_int2      smallint,
    t_int8      bigint,
    t_numeric   numeric,
    t_float4    real,
    t_float8    double precision,
    t_money     money,
    t_char      char(5),
    t_text      text,
    t_bytea     bytea,
    t_date      date,
    t_time      time,
    t_timetz    timetz,
    t_ts        timestamp,
    t_tstz      timestamptz,
    t_interval  interval,
    t_uuid      uuid,
    t_json      json,
    t_jsonb     jsonb,
    t_inet      inet,
    t_cidr      cidr,
    t_mac       macaddr,
    t_bit       bit(8),
    t_varbit    varbit,
    t_point     point,
    t_circle    circle,
    t_range     int4range,
    t_tsquery   tsquery,
    t_array     integer[][],
    t_texts     text[],
    t_reg       regclass
);
