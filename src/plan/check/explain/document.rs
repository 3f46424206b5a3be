//! What is wrong with a text before it is a plan.

use super::Explanation;
use crate::document::codes as yaml;

pub const ALL: &[Explanation] = &[
    Explanation {
        code: yaml::SYNTAX,
        title: "the text is no YAML",
        text: "The file cannot be read at all, so nothing else in it was checked. The usual causes are a tab in the indentation, a missing blank behind a colon, a quote or a bracket that is not closed, and a line that is indented otherwise than its neighbours.",
        wrong: "version: 1
name: night
steps:
  - uses:command
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::DUPLICATE_KEY,
        title: "a key stands twice",
        text: "YAML readers take the first or the last of the two without a word, so one of them would do nothing.",
        wrong: "version: 1
name: night
timeout: 1h
steps:
  - uses: command
    with: { argv: [date] }
timeout: 2h
",
        right: "version: 1
name: night
timeout: 2h
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::MERGE_KEY,
        title: "merge keys are not read",
        text: "`<<` is no part of YAML 1.2, and hides where a value comes from. What several steps share stands under `defaults`, by executor.",
        wrong: "version: 1
name: night
x-base: &base { cwd: /srv }
steps:
  - uses: command
    with: { <<: *base, argv: [date] }
",
        right: "version: 1
name: night
defaults:
  command: { cwd: /srv }
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::DOCUMENTS,
        title: "more than one document",
        text: "A file holds one plan. A `---` begins another document, which nobody would run.",
        wrong: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
---
version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::DOUBTFUL,
        title: "YAML readers disagree on this value",
        text: "Some readers take `010` for eight, `12:30` for a number, and lose the zero of `3.10`. Quotes make it a text everywhere; a plain number is the same everywhere.",
        wrong: "version: 1
name: night
logs: { keep: 010 }
steps:
  - uses: command
    with: { argv: [at, 12:30, python, 3.10] }
",
        right: r#"version: 1
name: night
logs: { keep: 10 }
steps:
  - uses: command
    with: { argv: [at, "12:30", python, "3.10"] }
"#,
    },
    Explanation {
        code: yaml::KEY,
        title: "a key that is no text",
        text: "The keys of a plan are words.",
        wrong: "version: 1
name: night
? [a, b]
: c
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::EMPTY,
        title: "the file is empty",
        text: "There is nothing in it but blanks and comments.",
        wrong: "# to do
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::LIMIT,
        title: "too large or nested too deeply",
        text: "A plan has at most 1 MiB, 100,000 values and 64 levels, aliases followed: more than anybody writes, less than what stops a machine.",
        wrong: "version: 1
name: night
x-deep: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
steps:
  - uses: command
    with: { argv: [date] }
",
        right: "version: 1
name: night
steps:
  - uses: command
    with: { argv: [date] }
",
    },
    Explanation {
        code: yaml::TAG,
        title: "tags are not read",
        text: "A tag like `!secret` tells a program how to read a value. Plans are read the same way by everybody, so there are none.",
        wrong: "version: 1
name: night
description: !late at night
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
description: "!late at night"
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: yaml::BRACES,
        title: "braces that open a map",
        text: "`{` begins a map in YAML, also in `{{ … }}`, and inside brackets in `${{ … }}` too. Quotes make a text of it.",
        wrong: "version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, ${{ params.dir }}] }
",
        right: r#"version: 1
name: night
params: { dir: { type: string, default: x } }
steps:
  - uses: command
    with: { argv: [ls, "${{ params.dir }}"] }
"#,
    },
    Explanation {
        code: yaml::ESCAPE,
        title: "a backslash in double quotes",
        text: r#"In double quotes `\n` is a line end and `\b` a backspace, so a path of Windows becomes another text. Single quotes leave backslashes alone."#,
        wrong: r#"version: 1
name: night
steps:
  - uses: command
    with: { argv: [report, "D:\backups\new"] }
"#,
        right: r#"version: 1
name: night
steps:
  - uses: command
    with: { argv: [report, 'D:\backups\new'] }
"#,
    },
];
