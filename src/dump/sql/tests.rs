use super::*;

/// What the reader reports, a line each, whatever pieces the text is cut into.
fn read(text: &[u8]) -> Vec<String> {
    let mut seen: Option<Vec<String>> = None;
    for step in [1, 2, 3, 7, text.len().max(1)] {
        let mut reader = SqlDump::new();
        let mut found: Vec<String> = Vec::new();
        for part in text.chunks(step) {
            reader.take(part, &mut |piece| {
                let shown = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                match piece {
                    Piece::Statement { text, whole } => {
                        found.push(format!("{}{}", shown(text), if whole { ";" } else { "…" }));
                    }
                    Piece::Rows(rows) => match found.last_mut() {
                        Some(last) if last.starts_with("rows ") => last.push_str(&shown(rows)),
                        _ => found.push(format!("rows {}", shown(rows))),
                    },
                    Piece::RowsEnd => found.push("end of rows".to_owned()),
                    Piece::Meta { line, text } => found.push(format!("meta {line} {}", shown(text))),
                    Piece::Doubt { line, why } => found.push(format!("doubt {line} {why}")),
                    Piece::Quoting { line, why } => found.push(format!("quoting {line} {why}")),
                    Piece::Begin { line } => found.push(format!("begin {line}")),
                }
            });
        }
        found.push(format!("{:?}", reader.end()));
        assert!(seen.is_none() || seen.as_ref() == Some(&found), "{step}: {seen:?} {found:?}");
        seen = Some(found);
    }
    seen.unwrap_or_default()
}

fn metas(text: &str) -> usize {
    read(text.as_bytes()).iter().filter(|l| l.starts_with("meta ")).count()
}

fn doubts(text: &str) -> usize {
    read(text.as_bytes()).iter().filter(|l| l.starts_with("doubt ")).count()
}

fn quotings(text: &str) -> usize {
    read(text.as_bytes()).iter().filter(|l| l.starts_with("quoting ")).count()
}

fn begins(text: &str) -> usize {
    read(text.as_bytes()).iter().filter(|l| l.starts_with("begin ")).count()
}

#[test]
fn a_dump_is_split_into_statements_and_rows() {
    let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict aB3\n\nSET client_encoding = 'UTF8';\n\
                CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT ';' /* \\! no */ $$;\n\
                COPY public.t (a, \"B \"\"c\") FROM stdin;\n1\t\\N\n\\N\tx\\\\.\n\\.\n\n\n\
                COPY s.nothing  FROM stdin;\n\\.\n\nSELECT pg_catalog.setval('public.s', 3, true);\n\n\
                --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict aB3\n\n";
    assert_eq!(
        read(dump.as_bytes()),
        [
            "SET client_encoding = 'UTF8';",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT ';' /* \\! no */ $$;",
            "COPY public.t (a, \"B \"\"c\") FROM stdin;",
            "rows 1\t\\N\n\\N\tx\\\\.\n",
            "end of rows",
            "COPY s.nothing  FROM stdin;",
            "end of rows",
            "SELECT pg_catalog.setval('public.s', 3, true);",
            "Ok(())",
        ]
    );
}

#[test]
fn meta_commands_are_found_wherever_psql_finds_them() {
    for (text, count) in [
        ("\\! ls\n", 1),
        ("SELECT 1; \\! ls\n", 1),
        ("SELECT 1 \\gexec\n", 1),
        ("SELECT 1\n\\g |sh\n", 1),
        ("-- \\! ls\n", 0),
        ("-- x\r\\! ls\n", 1),
        ("/* \\! ls */ \\! ls\n", 1),
        ("/* /* */ \\! no */ SELECT 1;\n", 0),
        ("SELECT '\\! no';\n", 0),
        ("SELECT 'a''\n\\! no\n';\n", 0),
        ("SELECT E'\\'\n\\! no\n';\n", 0),
        ("SELECT E'a''\\'\n\\! no\n';\n", 0),
        ("SELECT b'\\'\n\\! ls\n", 1),
        ("SELECT \"a\n\\! no\"\"\";\n", 0),
        ("SELECT $a$ $b$ $ $a\n\\! no\n$a$;\n\\! ls\n", 1),
        ("SELECT x$a$\n\\! ls\n", 1),
        ("SELECT $1\n\\! ls\n", 1),
        ("SELECT 1 \\; SELECT 2;\n", 1),
        ("CREATE VIEW v AS SELECT a[1:2]::text, - 1 / 2;\n", 0),
        ("SET standard_conforming_strings = off;\nSELECT '\\\\';\n\\! ls\n", 1),
        ("\\restrict a\n\\restrict b\n", 1),
        ("SELECT 1;\n\\restrict a\n", 1),
        ("\\restrict a b\n", 1),
        (" \\restrict a\n", 1),
        ("\\restrict a\n\\unrestrict b\n", 1),
        ("\\restrict a\n\\unrestrict a\n\\! ls\n", 1),
        ("\\connect other\n", 1),
    ] {
        assert_eq!(metas(text), count, "{text:?}");
    }
}

#[test]
fn what_psql_may_read_otherwise_is_doubted() {
    for text in [
        "COPY t FROM stdin;\n",
        "copy public.t from stdin;\n",
        "COPY public.t (a) FROM stdin WITH (FORMAT csv);\n",
        "COPY public.t (a) FROM stdin; SELECT 1;\n\\.\n",
        "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'select 1'; COPY public.t FROM stdin; SELECT 1 AS end;\n",
        "SELECT $1a$b$;\n",
        "SELECT 1$a$b$a$;\n",
        "SELECT :LAST_ERROR_MESSAGE;\n",
        "SELECT 1\0;\n",
        "\u{feff}COPY public.t (a) FROM stdin;\n",
        "\\restrict a\n\\unrestrict a\nSELECT 1;\n",
    ] {
        assert!(doubts(text) > 0, "{text:?}: {:?}", read(text.as_bytes()));
    }
    for text in [
        "SELECT 'a\\\\', 'b\\n', E'\\n', E'\\'', 1e10, 0x1F, 1_000, a$b, $1, $2::text;\n",
        "COPY public.t (a) FROM stdin;\n\\N\n\\.\n",
        "SELECT U&'d\\0061t', N'x', 'caf\u{e9}';\n",
    ] {
        assert_eq!(doubts(text), 0, "{text:?}: {:?}", read(text.as_bytes()));
    }
}

/// `pg_dump` writes such strings, so they are told from what it never writes.
#[test]
fn strings_that_hang_on_settings_or_the_encoding_are_told_apart() {
    for text in [
        "SELECT 'a\\' ; SELECT 1;\n",
        "SET standard_conforming_strings = off;\nSELECT '\\' ;\n';\n",
        "SELECT E'\u{e9}\\\\';\n",
        "CREATE TABLE public.t (\n    p text DEFAULT 'C:\\'::text\n);\n",
    ] {
        assert_eq!((quotings(text) > 0, doubts(text)), (true, 0), "{text:?}: {:?}", read(text.as_bytes()));
    }
    assert_eq!(quotings("SELECT 'a\\\\', 'b\\n', E'\\n', E'\\'', 'caf\u{e9}';\n"), 0);
}

/// `psql` counts every `begin` of a routine outside of parentheses, and this reader does as it does.
#[test]
fn a_begin_that_begins_no_body_is_told() {
    for text in [
        "CREATE FUNCTION public.begin() RETURNS integer LANGUAGE sql AS $$select 1$$;\n",
        "CREATE FUNCTION public.begin(atomic integer) RETURNS integer LANGUAGE sql AS $$select 1$$;\n",
        "CREATE OR REPLACE PROCEDURE public.begin() LANGUAGE sql AS $$select 1$$;\n",
        "CREATE FUNCTION public.f() RETURNS public.begin LANGUAGE sql AS $$select 1$$;\n",
        "CREATE FUNCTION begin.f() RETURNS integer LANGUAGE sql AS $$select 1$$;\n",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN begin;\n",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT t.begin FROM public.t; END;\n",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT begin FROM public.t; END;\n",
    ] {
        assert_eq!(begins(text), 1, "{text:?}: {:?}", read(text.as_bytes()));
    }
    for text in [
        "CREATE FUNCTION public.\"begin\"() RETURNS integer LANGUAGE sql AS $$begin$$;\n",
        "CREATE FUNCTION public.f(begin integer) RETURNS integer LANGUAGE sql AS 'begin';\n",
        "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\nEND;\n",
        "CREATE TABLE public.begin (begin integer);\nCREATE VIEW public.v AS SELECT t.begin FROM public.begin t;\n",
        "COMMENT ON FUNCTION public.begin() IS 'x';\n",
    ] {
        assert_eq!(begins(text), 0, "{text:?}: {:?}", read(text.as_bytes()));
        assert_eq!(read(text.as_bytes()).last().map(String::as_str), Some("Ok(())"), "{text:?}");
    }
}

#[test]
fn bodies_and_parentheses_hide_semicolons() {
    let text = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n\
                CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);\nSELECT begin;\n";
    assert_eq!(read(text.as_bytes()).len(), 4, "{:?}", read(text.as_bytes()));
}

#[test]
fn a_dump_that_breaks_off_is_known_for_one() {
    for text in ["SELECT 'a", "SELECT 1", "COPY public.t (a) FROM stdin;\n1\n", "/* a", "SELECT $a$ b"] {
        assert!(read(text.as_bytes()).last().is_some_and(|l| l.starts_with("Err")), "{text:?}");
    }
}

#[test]
fn rows_end_where_psql_ends_them() {
    for (rows, count) in [("\\.\r\n", 1), ("\\.x\n\\.\n", 2), ("x\\.\n\\.\n", 2), ("\\\n\\.\n", 2), ("\n\\.\n", 2)] {
        let read = read(format!("COPY public.t (a) FROM stdin;\n{rows}SELECT 1;\n").as_bytes());
        assert_eq!((read.len(), read.last().map(String::as_str)), (count + 3, Some("Ok(())")), "{rows:?} {read:?}");
    }
}

#[test]
fn names_are_read_as_pg_dump_writes_them() {
    let target = copy_target(b"COPY \"S.\"\"x\".t_1 (\"a, b\", c) FROM stdin").expect("a target");
    assert_eq!((target.schema.as_slice(), target.table.as_slice()), (&b"S.\"x"[..], &b"t_1"[..]));
    assert_eq!(target.columns, [b"a, b".to_vec(), b"c".to_vec()]);
    for other in [
        "COPY t (a) FROM stdin",
        "COPY public.t (a) FROM STDIN",
        "COPY public.t (a) FROM '/etc/passwd'",
        "COPY public.T (a) FROM stdin",
        "COPY public.t (a) FROM stdin WHERE true",
        "COPY public.\"t (a) FROM stdin",
        "COPY public.t FROM stdin",
    ] {
        assert_eq!(copy_target(other.as_bytes()), None, "{other}");
    }
    assert_eq!(names(b"public.\"A b\""), Some(vec![b"public".to_vec(), b"A b".to_vec()]));
    assert_eq!(names(b"public.s'"), None);
}
