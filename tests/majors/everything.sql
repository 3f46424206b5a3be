-- A database of everything: types with their odd values, every kind of object that pg_dump knows and one can make without
-- a second server, and names that break naive quoting. For PostgreSQL 14 to 18; run by psql as a superuser.
\set ON_ERROR_STOP 1
\set QUIET 1
SELECT current_setting('server_version_num')::int >= 150000 AS v15,
       current_setting('server_version_num')::int >= 160000 AS v16,
       current_setting('server_version_num')::int >= 170000 AS v17,
       current_setting('server_version_num')::int >= 180000 AS v18,
       -- Servers without ICU have a handful of these all the same.
       (SELECT count(*) > 50 FROM pg_collation WHERE collprovider = 'i') AS icu \gset
SELECT current_database() AS db \gset
SET client_min_messages = warning;

-- Settings of the database that change how values are written.
ALTER DATABASE :"db" SET datestyle = 'German, DMY';
ALTER DATABASE :"db" SET intervalstyle = 'iso_8601';
ALTER DATABASE :"db" SET timezone = 'America/Sao_Paulo';
ALTER DATABASE :"db" SET bytea_output = 'escape';
ALTER DATABASE :"db" SET extra_float_digits = 0;
ALTER DATABASE :"db" SET search_path = "odd schema", public;
ALTER DATABASE :"db" SET default_transaction_isolation = 'serializable';
ALTER DATABASE :"db" SET statement_timeout = '10min';

CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pgcrypto;

-- Types.
CREATE TYPE mood AS ENUM ('sad', 'it''s', 'ok, fine', E'tab\there', 'größe');
CREATE TYPE pair AS (a integer, "B b" text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN pairs AS pair[];
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi);

CREATE TABLE all_types (
  id integer PRIMARY KEY,
  "boolean" boolean, "smallint" smallint, "bigint" bigint, "numeric" numeric, "numeric(20,5)" numeric(20,5),
  "real" real, "double" double precision, "money" money, "text" text, "varchar" varchar(40), "char" char(7), "internal char" "char",
  "name" name, "bytea" bytea, "date" date, "time" time, "timetz" timetz, "timestamp" timestamp, "timestamptz" timestamptz,
  "interval" interval, "uuid" uuid, "json" json, "jsonb" jsonb, "jsonpath" jsonpath, "xml" xml, "bit" bit(5), "varbit" bit varying,
  "inet" inet, "cidr" cidr, "macaddr" macaddr, "macaddr8" macaddr8, "point" point, "line" line, "lseg" lseg, "box" box,
  "path" path, "polygon" polygon, "circle" circle, "tsvector" tsvector, "tsquery" tsquery, "int4range" int4range,
  "tstzrange" tstzrange, "nummultirange" nummultirange, "float_range" float_range, "oid" oid, "regclass" regclass, "regproc" regproc,
  "pg_lsn" pg_lsn, "xid" xid, "tid" tid, "mood" mood, "pair" pair, "positive" positive, "pairs" pairs, "int[]" integer[], "text[]" text[],
  "hstore" hstore, "citext" citext, t text
);
INSERT INTO all_types (id) VALUES (0);
INSERT INTO all_types VALUES (
  1, true, -32768, 9223372036854775807, 'NaN', -12345.67890, 'Infinity', '-0', '-1234.56', E'back\\slash\ttab\nline\rreturn\\N',
  '\.', 'pad', '\', 'name', '\x00ff5c0a09', '4713-01-01 BC', '24:00', '23:59:59.999999-12', 'infinity', '-infinity',
  '-1 year 2 mons -3 days 04:05:06.789', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" : [1, 2.50, null, "é\n"] }',
  '{"b": {"c": [1e2, "\u00e9"]}}', '$.a[*] ? (@ > 1)', '<a b="c">d &amp; e</a>', B'10101', B'', '::1/64', '10.0.0.0/8',
  '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1,-2)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(1,1)', '((0,0),(1,1),(2,0))',
  '((0,0),(1,1),(2,0))', '<(1,2),3>', 'a:1A fat:2B ''it''''s'':3', 'fat & (rat | !cat)', '[1,10)',
  '["2026-02-28 23:30:00-03","2026-11-01 01:30:00-02")', '{[1.5,2.5),(10,)}', '(0.1,0.3]', 4294967295, 'pg_class', 'now', '16/B374D848',
  '4294967295', '(4294967295,65535)', E'tab\there', ROW(1, 'x "y" \ z'), 7, ARRAY[ROW(1, NULL), ROW(NULL, '')]::pair[],
  '[2:3][-1:0]={{1,2},{NULL,4}}', ARRAY['', NULL, 'NULL', '{}', '"', E'\\', E'\n', 'é'], 'a=>1, "b c"=>NULL', 'MiXeD', 'shadow'
);
INSERT INTO all_types ("numeric", "real", "double", "date", "interval", "numeric(20,5)", "time", "timestamptz", id)
  SELECT (random() * 1e10)::numeric / (n + 1), (random() / 3)::real, random() / 7 * 10 ^ (n % 300 - 150), DATE '1000-01-01' + n * 37,
         make_interval(years => n % 50, secs => n / 7.0), n / 3.0, TIME '00:00' + n * INTERVAL '1.234567 s',
         TIMESTAMPTZ '1900-01-01 00:00 UTC' + n * INTERVAL '40 days 3 hours', n
  FROM generate_series(2, 500) n;
INSERT INTO all_types ("numeric", id) VALUES ('Infinity', 1001), ('-Infinity', 1002), (10 ^ 1000::numeric, 1003), (10 ^ (-1000::numeric), 1004);

-- Rows that look like marks of COPY, wide rows, empty ones.
CREATE TABLE marks (line text);
INSERT INTO marks VALUES ('\.'), ('\N'), (''), (NULL), (E'\\.\n'), ('COPY public.x (y) FROM stdin;'), (E'\t'), (E'a\\'), (repeat('wide é ', 300000));
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 7);
CREATE TABLE empty_table (a int);

-- Keys, defaults, generated columns, sequences.
CREATE TABLE parent (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
  doubled integer GENERATED ALWAYS AS (length(code) * 2) STORED, at timestamptz DEFAULT '2026-01-01 00:00 UTC', CHECK (code <> ''));
INSERT INTO parent (code) SELECT 'code ' || n FROM generate_series(1, 50) n;
CREATE TABLE child (id bigserial PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE, period tstzrange,
  EXCLUDE USING gist (parent_id WITH =, period WITH &&));
INSERT INTO child (parent_id, period) SELECT n, tstzrange('2026-01-01', '2026-02-01') FROM generate_series(1, 50) n;
ALTER TABLE child ADD CONSTRAINT not_checked CHECK (parent_id < 40) NOT VALID;
CREATE TABLE only_generated (g integer GENERATED ALWAYS AS (42) STORED);
INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE left_circle (id int PRIMARY KEY, other int);
CREATE TABLE right_circle (id int PRIMARY KEY, other int REFERENCES left_circle);
INSERT INTO left_circle SELECT n, n FROM generate_series(1, 10) n;
INSERT INTO right_circle SELECT n, n FROM generate_series(1, 10) n;
ALTER TABLE left_circle ADD FOREIGN KEY (other) REFERENCES right_circle;
CREATE SEQUENCE down INCREMENT -3 MINVALUE -100 MAXVALUE 100 START 50;
CREATE SEQUENCE round_and_round MAXVALUE 4 CYCLE;
CREATE SEQUENCE untouched START 1000;
SELECT nextval('down'), nextval('down'), nextval('round_and_round') FROM generate_series(1, 6) \g /dev/null

-- Partitions and inheritance.
CREATE TABLE measured (at date NOT NULL, place mood, value float8) PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (place);
CREATE TABLE measured_2026_sad PARTITION OF measured_2026 FOR VALUES IN ('sad');
CREATE TABLE measured_2026_rest PARTITION OF measured_2026 DEFAULT;
CREATE TABLE hashed (kind mood, n int) PARTITION BY HASH (kind);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO measured SELECT DATE '2025-06-01' + n, (enum_range(NULL::mood))[1 + n % 5], n / 3.0 FROM generate_series(1, 400) n;
INSERT INTO hashed SELECT (enum_range(NULL::mood))[1 + n % 5], n FROM generate_series(1, 100) n;
CREATE TABLE ancestor (a int, b text);
CREATE TABLE heir (c int) INHERITS (ancestor);
INSERT INTO ancestor SELECT n, 'a' || n FROM generate_series(1, 20) n;
INSERT INTO heir SELECT n, 'b' || n, n FROM generate_series(1, 20) n;
CREATE TABLE of_type OF pair (PRIMARY KEY (a));
INSERT INTO of_type VALUES (1, 'one');
CREATE UNLOGGED TABLE unlogged (a int);
INSERT INTO unlogged VALUES (1);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere OPTIONS (host 'db "x"');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS ("user" 'u');
CREATE FOREIGN TABLE far_away (a int OPTIONS (name 'A')) SERVER elsewhere;

-- Code.
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT RETURN $1 * 2;
CREATE FUNCTION plain_text() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  -- COPY public.marks (line) FROM stdin;
  RETURN E'\\.\n' || $q$ \! echo no $q$;
END $body$;
CREATE PROCEDURE nothing(INOUT a int) LANGUAGE plpgsql AS 'BEGIN a := a; END';
CREATE AGGREGATE total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE FUNCTION near(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a = $2.a';
CREATE OPERATOR === (leftarg = pair, rightarg = pair, function = near, commutator = ===);
CREATE CAST (pair AS text) WITH INOUT AS ASSIGNMENT;
CREATE INDEX parent_twice ON parent (twice(id)) WHERE id > 3;
CREATE INDEX parent_lower ON parent (lower(code) text_pattern_ops DESC NULLS LAST) INCLUDE (id);
CREATE STATISTICS parent_stats (dependencies, ndistinct) ON id, code FROM parent;
CREATE VIEW shown AS SELECT p.*, c.id AS child_id FROM parent p LEFT JOIN child c ON c.parent_id = p.id;
CREATE RULE shown_insert AS ON INSERT TO shown DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n, sum(value) AS s FROM measured;
CREATE UNIQUE INDEX ON counted (n);
CREATE MATERIALIZED VIEW not_counted AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.code := NEW.code; RETURN NEW; END';
CREATE TRIGGER noted BEFORE INSERT OR UPDATE OF code ON parent FOR EACH ROW WHEN (NEW.code IS NOT NULL) EXECUTE FUNCTION note();
ALTER TABLE parent DISABLE TRIGGER noted;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watching ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION watch();
\if :icu
CREATE COLLATION ci_like (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
\else
CREATE COLLATION ci_like FROM "C";
\endif
CREATE TABLE collated (a text COLLATE ci_like);
INSERT INTO collated VALUES ('a'), ('A'), ('ä');
CREATE TEXT SEARCH CONFIGURATION own (COPY = simple);
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE SUBSCRIPTION from_nowhere CONNECTION 'host=192.0.2.1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE);
COMMENT ON TABLE parent IS E'A comment\nof two lines; \\! true -- ''quoted''';

-- Rights, row-level security, large objects.
ALTER TABLE marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE marks FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON marks USING (line = '');
GRANT SELECT (code), UPDATE (code) ON parent TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
SELECT lo_from_bytea(990001, decode('00ff5c2e0a', 'hex')), lo_from_bytea(990002, ''), lo_from_bytea(990003, convert_to(repeat('large é', 100000), 'UTF8')) \g /dev/null
GRANT SELECT ON LARGE OBJECT 990001 TO PUBLIC;
COMMENT ON LARGE OBJECT 990003 IS 'large';

-- Names.
CREATE SCHEMA "odd schema";
CREATE TABLE "odd schema"."dot.ted ""quoted"" 'name' $$ \ %s {x} ; -- *" ("column "" with 'all' \ of , ( ) it" int, "é" text, "select" int);
INSERT INTO "odd schema"."dot.ted ""quoted"" 'name' $$ \ %s {x} ; -- *" SELECT n, 'é' || n, -n FROM generate_series(1, 30) n;
CREATE TABLE "odd schema".U&"line\000Abreak" ("a
b" int);
INSERT INTO "odd schema".U&"line\000Abreak" VALUES (1), (2);
CREATE TABLE "odd schema"."Ação 表 🐘" ("Größe" text);
INSERT INTO "odd schema"."Ação 表 🐘" VALUES ('ß'), ('🐘');
CREATE TABLE "odd schema"."a.b" (x int);
CREATE TABLE public."odd schema.a.b" (x int);
INSERT INTO "odd schema"."a.b" VALUES (1);
INSERT INTO public."odd schema.a.b" VALUES (1), (2);
CREATE TABLE "odd schema"."012345678901234567890123456789012345678901234567890123456789012" (x int);
CREATE TABLE "odd schema"."user" ("table" int, "t" int);
INSERT INTO "odd schema"."user" VALUES (1, 2);
CREATE SEQUENCE "odd schema"."seq "" x";

-- What only newer servers know.
\if :v15
CREATE TABLE nulls_alike (a int, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO nulls_alike VALUES (NULL), (1);
CREATE PUBLICATION one_table FOR TABLE parent (id, code) WHERE (id > 3);
\endif
\if :v16
CREATE TABLE stored_outside (a text STORAGE EXTERNAL COMPRESSION pglz);
INSERT INTO stored_outside VALUES (repeat('x', 10000));
\endif
\if :v17
CREATE TABLE split_identity (id int GENERATED BY DEFAULT AS IDENTITY, k int) PARTITION BY RANGE (k);
CREATE TABLE split_identity_1 PARTITION OF split_identity FOR VALUES FROM (0) TO (100);
INSERT INTO split_identity (k) SELECT n FROM generate_series(1, 20) n;
\endif
\if :v18
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
INSERT INTO computed SELECT n FROM generate_series(1, 20) n;
CREATE TABLE late_not_null (a int);
INSERT INTO late_not_null VALUES (NULL);
ALTER TABLE late_not_null ADD CONSTRAINT a_there NOT NULL a NOT VALID;
CREATE TABLE lasting (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
INSERT INTO lasting VALUES (1, '[2026-01-01,2026-02-01)'), (1, '[2026-02-01,2026-03-01)');
\endif
