-- what the values are drawn from
-- Every value is a function of row numbers, so that two databases of the same
-- size are the same. The schema is dropped at the end.
CREATE SCHEMA seed;
-- pick gives 0 to n-1, by the row a and the purpose b.
CREATE FUNCTION seed.pick(a bigint, b bigint, n bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE AS $$ SELECT abs(hashint8extended(a, b) % n)::integer $$;
CREATE FUNCTION seed.one(a bigint, b bigint, list text[]) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$ SELECT list[1 + abs(hashint8extended(a, b) % cardinality(list))::integer] $$;
CREATE FUNCTION seed.first(a bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT seed.one(a, 1, '{
    Ada,Aisha,Alba,Amir,Ana,Andrei,Anja,Anton,Arda,Astrid,Aylin,Bea,Ben,Bilal,Carla,Chloé,Clara,Daniel,David,Dilara,Elena,Elif,Emil,
    Emma,Erik,Ewa,Farah,Felix,Finn,Frida,Giulia,Greta,Hana,Hannah,Henri,Hugo,Ida,Inés,Ivan,Jakub,Jana,Jonas,José,Julia,Kai,Karl,
    Katya,Lara,Leila,Lena,Leo,Lina,Linh,Luca,Łukasz,Malik,Mara,Marie,Martin,Mateo,Maya,Mei,Mia,Milan,Mina,Mohamed,Nadia,Naomi,
    Nils,Nina,Noah,Nora,Olga,Oskar,Paul,Petra,Rafael,Rosa,Ruth,Samir,Sara,Selin,Simon,Sofia,Søren,Tara,Theo,Tim,Tomás,Uma,Vera,
    Viktor,Wanda,Yara,Yusuf,Zoë}') $$;
CREATE FUNCTION seed.last(a bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT seed.one(a, 2, '{
    Adams,Ahmed,Albrecht,Andersen,Arslan,Bauer,Becker,Berg,Bianchi,Braun,Brown,Byrne,Carvalho,Castillo,Chen,Cohen,Costa,Dahl,Demir,
    Diaz,Dubois,Eriksson,Evans,Fischer,Fontaine,Fuchs,García,Graf,Gruber,Haas,Hansen,Hartmann,Hoffmann,Horváth,Huber,Ivanov,Jansen,
    Johnson,Kaplan,Kaya,Keller,Khan,Kim,Klein,Kovács,Kowalski,Krause,Krüger,Lang,Larsen,Lehmann,Lindholm,Lopez,Maier,Martin,Mazur,
    Meyer,Moreau,Müller,Nagy,Neumann,Nguyen,Novák,O''Brien,Okafor,Olsen,Özdemir,Patel,Pereira,Peters,Petrov,Popescu,Rahman,Richter,
    Roth,Rossi,Sato,Schäfer,Schmidt,Schulz,Schwarz,Silva,Singh,Smith,Sommer,Stein,Suzuki,Taylor,Tóth,Vargas,Virtanen,Vogel,Wagner,
    Walker,Weber,Weiß,Winter,Wolf,Yılmaz,Zhang,Zimmermann}') $$;
CREATE FUNCTION seed.word(a bigint, b bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT seed.one(a, b, '{
    about,after,again,also,autumn,because,before,bell,bicycle,bring,brings,bus,can,canteen,choir,class,clear,closed,coach,come,could,
    day,desk,door,drawing,early,essay,evening,every,excursion,family,first,for,form,friday,from,garden,glad,good,group,has,have,
    help,history,homework,in,is,its,join,kind,late,learn,lesson,letter,library,list,little,look,lost,lunch,map,may,meet,
    monday,more,morning,museum,music,need,new,next,not,notebook,now,of,on,open,our,page,parents,paper,paint,plan,play,please,practice,
    project,question,quiet,read,ready,rehearsal,return,room,school,science,second,sign,sing,some,sport,spring,staff,start,still,story,
    student,study,summer,swim,teacher,team,test,thank,that,the,their,this,today,tomorrow,trip,until,very,visit,wednesday,week,
    well,when,winter,with,work,workshop,write,year,yes}') $$;
CREATE FUNCTION seed.words(a bigint, n integer) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$ SELECT initcap(left(w, 1)) || substr(w, 2) || '.' FROM (SELECT string_agg(seed.word(a, i), ' ') AS w FROM generate_series(1, n) AS i) AS s $$;
-- noise gives n times 32 bytes that no program can compress, as in a picture.
CREATE FUNCTION seed.noise(a bigint, n integer) RETURNS bytea
    LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(sha256(int8send(a * 1000003 + i)), '') FROM generate_series(1, n) AS i $$;
CREATE FUNCTION seed.at(day date, second integer) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE AS $$ SELECT (day + make_interval(secs => second)) AT TIME ZONE 'UTC' $$;
CREATE TABLE seed.day AS
    SELECT row_number() OVER (ORDER BY d)::integer AS n, d::date AS day
    FROM generate_series(timestamp '2025-08-18', '2026-06-26', '1 day') AS d
    WHERE extract(isodow FROM d) < 6 AND d::date NOT BETWEEN '2025-12-22' AND '2026-01-05' AND d::date NOT BETWEEN '2026-03-30' AND '2026-04-10';
