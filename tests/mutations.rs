//! Thousands of random changes to good plans: none of them stops the checker, and what it lets pass the interpreter takes
//! up to its first step. `RUNPLAN_MUTATIONS` sets how many there are, `RUNPLAN_SEED` where they begin.

use std::path::Path;
use std::sync::Arc;

use runplan::cancel::Cancel;
use runplan::event::Pick;
use runplan::plan::{self, Checked, Input};
use runplan::report::Collector;
use runplan::run::{self, Request};
use runplan::step::{Env, FailureKind};
use runplan::steps::REGISTRY;
use runplan::template::{self, Scope, Type};
use runplan::value::Value;

/// Numbers that look random, the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % sides.max(1)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

const VALUES: &[&str] = &[
    "5",
    "-1",
    "0",
    "1.5",
    "3.10",
    "1e3",
    "010",
    "12:30",
    "true",
    "false",
    "yes",
    "null",
    "~",
    "",
    "[]",
    "{}",
    "[a, b]",
    "[1]",
    "{ a: b }",
    "\"\"",
    "\"x\"",
    "'x'",
    "30s",
    "2h",
    "20GiB",
    "x",
    "\"${{ params.dir }}\"",
    "\"${{ params.keep }}\"",
    "\"${{ params.full }}\"",
    "\"${{ params.tables }}\"",
    "\"${{ secrets.zip }}\"",
    "\"${{ vars.login }}\"",
    "\"${{ vars.archive }}\"",
    "\"${{ vars.texts }}\"",
    "\"${{ steps.dump.outputs }}\"",
    "\"${{ steps.dump.outputs.bytes }}\"",
    "\"${{ database.port }}\"",
    "\"${{ params.nope }}\"",
    "\"${{ run.id }}-${{ params.keep }}\"",
    "\"${{ env }}\"",
    "\"${{ failure.step }}\"",
    "\"${{ 1 / 0 }}\"",
    "\"${{ [] | first }}\"",
    "\"${{ params.dir | date('%Y') }}\"",
    "\"${{ params.tables[7] }}\"",
    "\"${{\"",
    "\"{{ x }}\"",
    "*a",
    "&a x",
    "!x y",
    "|\n      block ${{ params.dir }}",
    "params.full",
    "params.keep > 1",
    "params.keep",
    "not params.full",
    "'a' == 1",
    "1 == 1",
    "steps.dump.status == 'ok'",
    "99999999999999999999",
    "\"a\\tb\"",
];

const CHARACTERS: &[char] = &[
    '{', '}', '[', ']', ':', ',', '\'', '"', '#', '&', '*', '!', '|', '>', '%', '@', '`', '$', ' ', '\t', '\n', '-',
    '?', '.', 'a', '0', 'ä', '\u{7f}', '\u{feff}', '\r', '\\', '=', '(', ')', '~',
];

/// One change: a line dropped, doubled, moved or indented otherwise, a word renamed, a value retyped, a character more or less.
fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let at = dice.roll(lines.len());
    match dice.roll(9) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let other = dice.roll(lines.len());
            lines.swap(at, other);
        }
        3 => {
            let by = 1 + dice.roll(3);
            lines[at] = if dice.roll(2) == 0 {
                format!("{}{}", " ".repeat(by), lines[at])
            } else {
                lines[at].chars().skip_while(|c| *c == ' ').collect()
            };
        }
        4 => {
            // A word somewhere else in the plan takes the place of one here.
            let words: Vec<&str> =
                text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| w.len() > 1).collect();
            let new = (*dice.pick(&words)).to_owned();
            let here: Vec<&str> =
                lines[at].split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
            if !here.is_empty() {
                let old = (*dice.pick(&here)).to_owned();
                lines[at] = lines[at].replacen(&old, &new, 1);
            }
        }
        5 | 6 => {
            let places: Vec<usize> = lines[at].match_indices(": ").map(|(i, _)| i + 2).collect();
            if !places.is_empty() {
                let from = *dice.pick(&places);
                let rest = &lines[at][from..];
                let end = match dice.roll(2) {
                    0 => rest.len(),
                    _ => rest.find([',', '}', ']']).unwrap_or(rest.len()),
                };
                let value = dice.pick(VALUES);
                lines[at] = format!("{}{value}{}", &lines[at][..from], &rest[end..]);
            }
        }
        7 => {
            let characters: Vec<char> = lines[at].chars().collect();
            let skip = dice.roll(characters.len());
            lines[at] = characters.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, c)| *c).collect();
        }
        _ => {
            let mut characters: Vec<char> = lines[at].chars().collect();
            let place = dice.roll(characters.len() + 1);
            characters.insert(place, *dice.pick(CHARACTERS));
            lines[at] = characters.into_iter().collect();
        }
    }
    lines.join("\n") + "\n"
}

fn good_plans() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![
        std::fs::read_to_string(root.join("plans/dump-only.yaml")).expect("a plan"),
        std::fs::read_to_string(root.join("tests/plans/ok/whole.yaml")).expect("a plan"),
        std::fs::read_to_string(root.join("tests/plans/ok/expressions.yaml")).expect("a plan"),
        std::fs::read_to_string(root.join("tests/plans/ok/guarded.yaml")).expect("a plan"),
        std::fs::read_to_string(root.join("tests/plans/ok/spellings.yaml")).expect("a plan"),
    ];
    all.push(std::fs::read_to_string(root.join("tests/plans/ok/targets.yaml")).expect("a plan"));
    // Everything that the values above read is in this one.
    all.push(
        "version: 1\nname: mutable\nparams:\n  dir: { type: string, default: backups }\n  keep: { type: integer, default: 5 }\n  \
         full: { type: boolean, default: true }\n  tables: { type: array, items: { type: string }, default: [a, b] }\n\
         secrets:\n  zip: { env: ZIP }\nvars:\n  archive: ${{ params.dir }}/${{ database.dbname }}-${{ run.id }}.zip\n  \
         login: { user: me, password: \"${{ secrets.zip }}\" }\n  texts: [\"${{ params.dir }}\", x]\ndatabase: { host: /nowhere, dbname: app }\n\
         logs: { dir: logs, keep: 3 }\nlock: { key: \"k-${{ params.dir }}\" }\nsteps:\n  - id: dump\n    uses: command\n    timeout: 5m\n    \
         retry: { attempts: 2, delay: 1s, errors: [transient] }\n    with: { argv: [echo, \"${{ vars.archive }}\"], env: { A: \"${{ vars.login.password }}\" } }\n  \
         - id: second\n    uses: command\n    when: params.full and params.keep > 1\n    with:\n      argv: [echo, \"n ${{ params.keep }}\", \"${{ vars.texts | first }}\"]\n      \
         stdin: \"${{ params.tables | join(',') }}\"\n      expect_exit: [0, \"${{ params.keep }}\"]\n  - uses: vacuum\n    when: steps.second.status == \"ok\"\n    \
         with: { tables: \"${{ params.tables }}\", full: \"${{ params.full }}\", lock_timeout: 5s }\n\
         finally:\n  - uses: command\n    with: { argv: [echo, \"${{ failure.kind }}\", \"${{ steps.dump.status }}\"] }\n"
            .to_owned(),
    );
    all
}

fn check(text: &str) -> plan::Outcome {
    plan::check(
        Input { name: "plan.yaml".to_owned(), dir: "/plans".into(), text: text.to_owned(), dbname_in_env: true },
        &REGISTRY,
    )
}

/// What a dry run holds against a plan that was let pass: before its first step, or in its conditions and parameters.
fn objections(checked: Checked, runtime: &tokio::runtime::Runtime) -> Vec<String> {
    let params = checked.plan().params.iter().map(|(name, param)| {
        let value = param.default.as_ref().map_or_else(|| sample(param), Value::from);
        (name.to_owned(), value)
    });
    let params: runplan::value::Map = params.collect();
    let variables = ["ZIP", "PW", "HOME", "MAIL_ENTRY", "RUNPLAN_ZIP_PASSWORD", "RUNPLAN_SMTP_PASSWORD", "USER"];
    let mut env: Env = variables.into_iter().map(|n| (n.to_owned(), format!("value-of-{n}"))).collect();
    env.insert("PGHOST".to_owned(), "/nowhere".to_owned());
    let collector = Arc::new(Collector::default());
    let of = |target: Option<&plan::Target>| {
        let own = |name: &str| target.and_then(|t| t.params.get(name)).map(Value::from);
        params.iter().map(|(name, value)| (name.clone(), own(name).unwrap_or_else(|| value.clone()))).collect()
    };
    let aims = match run::Aim::all(&checked, &[], &env, &of) {
        Ok(aims) => aims,
        // That none is selected is a warning.
        Err(run::Refused::Pick(_) | run::Refused::Env(_)) => return Vec::new(),
        Err(run::Refused::Select(problem)) => return vec![problem],
    };
    let request = Request {
        checked,
        registry: REGISTRY,
        aims: aims.all,
        unpicked: Vec::new(),
        params,
        env,
        host: "here".to_owned(),
        pick: Pick::default(),
        connect: false,
        given: Vec::new(),
        handed: Vec::new(),
        resumed: None,
        stop: Cancel::new(),
        abort: Cancel::new(),
        readers: vec![Arc::clone(&collector) as Arc<dyn runplan::event::Reader>],
        open_journal: Box::new(|_| Err(std::io::Error::other("a dry run has no journal"))),
        subject_of: |_| None,
        exit_code: |_| 0,
        resume_command: |_, _, _| None,
    };
    let ended = runtime.block_on(run::preview(request));
    let result = collector.result(ended.log_dir);
    let mut all = Vec::new();
    // What is missing in this environment is no fault of the plan.
    if let Some(failure) = &result.failure
        && failure.kind != FailureKind::Secret
        && result.steps.iter().all(|s| s.status.is_none() || s.error.is_none())
    {
        all.push(format!("before the first step: {}", failure.error));
    }
    for error in result.steps.iter().filter_map(|s| s.error.as_ref()) {
        if ["`when`", "parameters", "does not exist", "there is no executor", "expected"]
            .iter()
            .any(|p| error.contains(p))
        {
            all.push(format!("at a step: {error}"));
        }
    }
    all
}

/// A value that a required parameter takes.
fn sample(param: &plan::Param) -> Value {
    if let Some(first) = param.one_of.as_ref().and_then(|c| c.first()) {
        return Value::from(first);
    }
    match param.kind {
        plan::ParamType::String | plan::ParamType::Path => "x".into(),
        plan::ParamType::Integer => Value::Int(param.minimum.map_or(5, |m| m as i64)),
        plan::ParamType::Number => Value::Float(param.minimum.unwrap_or(1.5)),
        plan::ParamType::Boolean => Value::Bool(true),
        plan::ParamType::Array => Value::List(Vec::new()),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn changed_plans_never_stop_the_checker_and_what_passes_runs_up_to_its_first_step() {
    let plans = good_plans();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for text in &plans {
        let outcome = check(text);
        let checked = outcome.checked.unwrap_or_else(|| panic!("{text}\n{:?}", outcome.findings));
        assert_eq!(objections(checked, &runtime), Vec::<String>::new(), "{text}");
    }
    let (count, seed) = (setting("RUNPLAN_MUTATIONS", 3000), setting("RUNPLAN_SEED", 0x9E37_79B9_7F4A_7C15));
    let mut dice = Dice(seed | 1);
    let (mut passed, mut refused) = (0u64, 0u64);
    let mut faults = Vec::new();
    for _ in 0..count {
        let mut text = dice.pick(&plans).clone();
        for _ in 0..1 + dice.roll(3) {
            text = mutate(&text, &mut dice);
        }
        let outcome = check(&text);
        // Drawing them must not stop either.
        let drawn = runplan::diag::render(&outcome.sources, &outcome.findings, false);
        assert!(!drawn.contains('\u{1b}'));
        let (mended, _) = runplan::diag::mend(&text, &outcome.findings);
        drop(check(&mended));
        let Some(checked) = outcome.checked else {
            refused += 1;
            assert!(!outcome.findings.is_empty(), "refused without a word: {text}");
            continue;
        };
        passed += 1;
        // A doubt that was said is no plan let pass in silence.
        let doubted = outcome.findings.iter().any(|f| matches!(f.code.0, 308 | 309));
        let found = objections(checked, &runtime);
        if !found.is_empty() && !doubted {
            faults.push(format!("{found:?}\n{text}"));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {passed}; the first:\n{}",
        faults.len(),
        faults[..faults.len().min(4)].join("\n=====\n")
    );
    assert!(passed * 20 > count && refused * 20 > count, "{passed} passed, {refused} were refused");
}

/// An expression made by throwing dice.
fn expression(dice: &mut Dice, depth: usize) -> String {
    const LEAVES: &[&str] = &[
        "p.i",
        "p.f",
        "p.t",
        "p.b",
        "p.l",
        "p.n",
        "p.m",
        "p.m.a",
        "p.m.k",
        "s.s",
        "1",
        "2.5",
        "'x'",
        "true",
        "none",
        "[]",
        "['a', 'b']",
        "[1, 'a']",
        "{'a': 1}",
        "p.l[0]",
        "p.m['a']",
        "p['t']",
        "p.nope",
        "u.x",
        "env",
    ];
    const OPERATORS: &[&str] =
        &["==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "+", "-", "*", "/", "//", "%", "~"];
    const FILTERS: &[&str] = &[
        "lower",
        "upper",
        "length",
        "first",
        "last",
        "basename",
        "dirname",
        "join(',')",
        "join",
        "default('d')",
        "default(1)",
        "default([])",
        "replace('a', 'b')",
        "date('%Y')",
    ];
    if depth == 0 || dice.roll(5) == 0 {
        return (*dice.pick(LEAVES)).to_owned();
    }
    let sub = |dice: &mut Dice| expression(dice, depth - 1);
    match dice.roll(8) {
        0..=2 => {
            let (left, operator, right) = (sub(dice), *dice.pick(OPERATORS), sub(dice));
            format!("({left}) {operator} ({right})")
        }
        3 | 4 => {
            let of = sub(dice);
            format!("({of}) | {}", dice.pick(FILTERS))
        }
        5 => {
            let (yes, test, no) = (sub(dice), sub(dice), sub(dice));
            format!("({yes}) if ({test}) else ({no})")
        }
        6 => format!("{}({})", dice.pick(&["not ", "-"]), sub(dice)),
        _ => format!("({}) is {}", sub(dice), dice.pick(&["defined", "none", "not defined"])),
    }
}

fn has_secret(value: &Value) -> bool {
    match value {
        Value::Secret(_) => true,
        Value::List(items) => items.iter().any(has_secret),
        Value::Map(map) => map.iter().any(|(_, v)| has_secret(v)),
        _ => false,
    }
}

/// Whether a value is one of a type.
fn of_type(value: &Value, found: &Type) -> bool {
    match (found, value) {
        (Type::Any, _) => true,
        (Type::Either(all), _) => all.iter().any(|t| of_type(value, t)),
        (Type::Secret, Value::Secret(_)) => true,
        (Type::Null, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Text, Value::Text(_)) => true,
        // Of a fraction and an integer the type is a number, and the value may be either.
        (Type::Float, Value::Float(_) | Value::Int(_)) => true,
        (Type::List(inner), Value::List(items)) => items.iter().all(|i| of_type(i, inner)),
        (Type::Map(types), Value::Map(map)) => map.iter().all(|(k, v)| types.get(k).is_some_and(|t| of_type(v, t))),
        (Type::Open(inner), Value::Map(map)) => map.iter().all(|(_, v)| of_type(v, inner)),
        _ => false,
    }
}

#[test]
fn an_expression_gives_what_was_inferred_and_fails_only_for_its_values() {
    let types =
        |entries: &[(&str, Type)]| Type::Map(entries.iter().map(|(k, t)| ((*k).to_owned(), t.clone())).collect());
    let list = |t: Type| Type::List(Box::new(t));
    let text = Value::from;
    let map = |entries: Vec<(&str, Value)>| Value::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    let secret = || Value::Secret(runplan::secret::Secret::new("hunter22"));
    let p = [
        ("i", Type::Int, Value::Int(3)),
        ("f", Type::Float, Value::Float(0.5)),
        ("t", Type::Text, text("x")),
        ("b", Type::Bool, Value::Bool(true)),
        ("l", list(Type::Text), Value::List(vec![text("a"), text("b")])),
        ("n", list(Type::Int), Value::List(vec![Value::Int(1)])),
        ("m", types(&[("a", Type::Int), ("k", Type::Secret)]), map(vec![("a", Value::Int(1)), ("k", secret())])),
    ];
    let p_types: Vec<(&str, Type)> = p.iter().map(|(k, t, _)| (*k, t.clone())).collect();
    let scope_type = types(&[
        ("p", types(&p_types)),
        ("s", types(&[("s", Type::Secret)])),
        ("u", types(&[("x", Type::Any)])),
        ("env", Type::Open(Box::new(Type::Text))),
    ]);
    let scope = Scope::from(vec![
        ("p".to_owned(), map(p.into_iter().map(|(k, _, v)| (k, v)).collect())),
        ("s".to_owned(), map(vec![("s", secret())])),
        ("u".to_owned(), map(vec![("x", text("any"))])),
        ("env".to_owned(), map(vec![("HOME", text("/root"))])),
    ]);
    let mut dice = Dice(setting("RUNPLAN_SEED", 77) | 1);
    let (mut sound, mut faults) = (0u64, Vec::new());
    for _ in 0..setting("RUNPLAN_MUTATIONS", 3000) * 10 {
        let text = expression(&mut dice, 3);
        let Ok(expression) = template::parse_expression(&text) else { continue };
        // Whoever checks names refuses this one wherever it stands.
        let missing = expression.names().iter().any(|n| n.path.get(1).is_some_and(|e| e == "nope"));
        let (found, problems) = expression.infer(&scope_type);
        let value = expression.eval(&scope);
        if !problems.is_empty() || missing {
            continue;
        }
        sound += 1;
        // What a secret turns into is not followed: only that it stays one.
        let closed = text.contains("s.s") || text.contains("p.m");
        match value {
            Ok(value) if has_secret(&value) && !found.has_secret() => {
                faults.push(format!("{text}: inferred {}, found a secret", found.name()));
            }
            Ok(value) if closed || of_type(&value, &found) => {}
            Ok(value) => faults.push(format!("{text}: inferred {}, found {}", found.name(), value.kind())),
            Err(problem) => {
                let by_value = ["division", "too large", "empty list", "no item", "takes a time", "becomes"];
                // `u.x` may be anything, and is a text here.
                if !by_value.iter().any(|w| problem.message.contains(w)) && !text.contains("u.x") && !closed {
                    faults.push(format!("{text}: inferred {}, failed: {}", found.name(), problem.message));
                }
            }
        }
    }
    faults.sort_by_key(String::len);
    assert!(faults.is_empty(), "{} of {sound}:\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
    assert!(sound > 500, "{sound}");
}

/// A plan that is still being typed: whatever is there of it is judged, and nothing stops the checker.
#[test]
fn every_beginning_of_a_plan_is_judged() {
    for text in good_plans() {
        let cuts = text.char_indices().map(|(at, _)| at).step_by(7);
        for at in cuts {
            let outcome = check(&text[..at]);
            assert!(at > 40 || !outcome.findings.is_empty(), "{}", &text[..at]);
            drop(runplan::diag::render(&outcome.sources, &outcome.findings, true));
        }
    }
}
