//! Secrets and where they may stand.

use super::Explanation;
use crate::plan::check::codes;

pub const ALL: &[Explanation] = &[
    Explanation {
        code: codes::EXPOSED,
        title: "a secret where it would be seen",
        text: "Arguments of programs stand in the process list, paths and subjects in logs and mails. What is made from a secret is a secret too. Secrets go into passwords, into `env` and `stdin` of a command, and into what `http` sends.",
        wrong: r#"version: 1
name: night
secrets: { pw: { env: PW } }
steps:
  - uses: command
    with: { argv: [login, "${{ secrets.pw }}"] }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { env: PW } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
    },
    Explanation {
        code: codes::SECRET_SOURCE,
        title: "a secret needs exactly one source",
        text: "It comes from an environment variable (`env`), a file (`file`), or a program that prints it (`command`, a list).",
        wrong: r#"version: 1
name: night
secrets: { pw: { env: PW, file: /etc/pw } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { file: /etc/pw } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
    },
    Explanation {
        code: codes::LITERAL_SECRET,
        title: "a password in the plan",
        text: "A plan is reviewed, copied and kept in git, and the password with it. Declare where it comes from under `secrets`.",
        wrong: "version: 1
name: night
database: { password: hunter2 }
steps:
  - uses: command
    with: { argv: [date] }
",
        right: r#"version: 1
name: night
secrets: { db: { env: DB_PASSWORD } }
database: { password: "${{ secrets.db }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: codes::NOT_SECRET,
        title: "a password that is no secret",
        text: "A parameter, a variable or a text is shown in logs and records. Only what is declared under `secrets` is masked.",
        wrong: r#"version: 1
name: night
params: { pw: { type: string } }
database: { password: "${{ params.pw }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { env: PW } }
database: { password: "${{ secrets.pw }}" }
steps:
  - uses: command
    with: { argv: [date] }
"#,
    },
    Explanation {
        code: codes::ENV_NAME,
        title: "the name of a variable with a `$`",
        text: "`env` takes the name of an environment variable. The `$` is how a shell reads one, and is not part of the name.",
        wrong: r#"version: 1
name: night
secrets: { pw: { env: $PW } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
        right: r#"version: 1
name: night
secrets: { pw: { env: PW } }
steps:
  - uses: command
    with: { argv: [login], stdin: "${{ secrets.pw }}" }
"#,
    },
    Explanation {
        code: codes::TOKEN_IN_URL,
        title: "a token in a URL",
        text: "The URL of a webhook, a bot or a heartbeat is a password: whoever knows it can send in your name. Declare the whole URL as a secret.",
        wrong: "version: 1
name: night
steps:
  - uses: http
    with: { url: 'https://api.telegram.org/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe' }
",
        right: r#"version: 1
name: night
secrets: { bot: { env: BOT_URL } }
steps:
  - uses: http
    with: { url: "${{ secrets.bot }}/getMe" }
"#,
    },
    Explanation {
        code: codes::WEAK_PASSWORD,
        title: "an archive password that is easily guessed",
        text: "Whoever has the archive can try passwords without limit. Use at least five random words or 20 random characters, and keep the password where the archive is not. The same is checked before each run and by `runplan doctor`, whatever the source of the password.",
        wrong: "",
        right: "",
    },
];
