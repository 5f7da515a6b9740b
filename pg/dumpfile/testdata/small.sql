-- The database behind pg13.dump, pg15.dump, pg17.dump and pg18.dump: see README.md.
create table "o'dd ""name"", 100%
名"(a int, "列" text);
insert into "o'dd ""name"", 100%
名" values (1, null), (2, E'a\nb\\c\td'), (3, '\.'), (4, '値');
create table nothing(a int);
create table no_columns();
insert into no_columns select from generate_series(1, 2);
create table parts(k int) partition by range (k);
create table parts_1 partition of parts for values from (0) to (9);
insert into parts values (3), (4);
create view v as select 1 as one;
comment on view v is E'two\nlines';
select lo_from_bytea(16385, 'hello');
select lo_from_bytea(4000000000, '');
