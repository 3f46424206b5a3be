//! Templates as a plan's author meets them.

use proptest::prelude::*;

use super::*;

fn scope() -> Scope {
    let map = |entries: Vec<(&str, Value)>| Value::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    Scope::from(vec![
        (
            "params".to_owned(),
            map(vec![
                ("keep", Value::Int(5)),
                ("dir", "backups".into()),
                ("full", Value::Bool(true)),
                ("tables", Value::List(vec!["a".into(), "b".into()])),
                ("odd", "${{ params.keep }} \"x\": {y}".into()),
            ]),
        ),
        (
            "secrets".to_owned(),
            map(vec![("pw", Value::Secret(Secret::new("hunter22"))), ("none", Value::Secret(Secret::sealed()))]),
        ),
        ("run".to_owned(), map(vec![("started_at", "2026-11-22T21:30:00Z".into())])),
        ("later".to_owned(), map(vec![("bytes", Value::Unknown)])),
        ("env".to_owned(), map(vec![])),
    ])
}

fn render(text: &str) -> Result<Value, String> {
    parse(text).map_err(|p| p[0].message.clone())?.render(&scope()).map_err(|p| p.message)
}

#[test]
fn a_whole_expression_keeps_its_type_and_a_mixed_one_is_text() {
    assert_eq!(render("${{ params.keep }}"), Ok(Value::Int(5)));
    assert_eq!(render("${{params.tables}}"), Ok(Value::List(vec!["a".into(), "b".into()])));
    assert_eq!(render("${{ params.dir }}/x-${{ params.keep }}.zip"), Ok("backups/x-5.zip".into()));
    assert_eq!(render("plain {{ x }} {% y %} {# z #} $5\n"), Ok("plain {{ x }} {% y %} {# z #} $5\n".into()));
    assert_eq!(render("${{ \"${{\" }}"), Ok("${{".into()));
    assert_eq!(render("${{ '}}' ~ \"'\" }}"), Ok("}}'".into()));
    assert_eq!(render("${{ {'a': {'b': 1}}.a.b }}"), Ok(Value::Int(1)));
    for bad in ["x ${{ params.tables }}", "x ${{ params.full }}", "x ${{ none }}", "x ${{ params }}"] {
        assert!(render(bad).is_err_and(|m| m.contains("into a text")), "{bad}");
    }
}

#[test]
fn what_a_template_gives_is_never_parsed_again() {
    assert_eq!(render("${{ params.odd }}"), Ok("${{ params.keep }} \"x\": {y}".into()));
    assert_eq!(render("a${{ params.odd }}b"), Ok("a${{ params.keep }} \"x\": {y}b".into()));
}

#[test]
fn names_are_strict_and_types_too() {
    for (bad, said) in [
        ("${{ params.kep }}", "`kep` does not exist"),
        ("${{ nothing }}", "`nothing` does not exist"),
        ("${{ env.HOME }}", "`HOME` does not exist"),
        ("${{ params.keep == '5' }}", "values of one type"),
        ("${{ 3 > '2' }}", "values of one type"),
        ("${{ params.keep and true }}", "expected a boolean"),
        ("${{ params.keep + 'x' }}", "cannot join"),
        ("${{ 1 / 0 }}", "division by zero"),
        ("${{ 9223372036854775807 + 1 }}", "too large"),
        ("${{ params.dir.x }}", "has no `x`"),
    ] {
        assert!(render(bad).is_err_and(|m| m.contains(said)), "{bad}: {:?}", render(bad));
    }
    assert_eq!(render("${{ env.HOME | default('/root') }}"), Ok("/root".into()));
    assert_eq!(render("${{ env.HOME is defined }}"), Ok(Value::Bool(false)));
    assert_eq!(render("${{ params.keep >= 5 and params.dir != '' and not false }}"), Ok(Value::Bool(true)));
    assert_eq!(render("${{ 1 < params.keep <= 5 }}"), Ok(Value::Bool(true)));
    assert_eq!(render("${{ 'a' in params.tables }}"), Ok(Value::Bool(true)));
    assert_eq!(render("${{ 'yes' if params.full else 'no' }}"), Ok("yes".into()));
}

#[test]
fn filters_do_what_they_say() {
    for (text, value) in [
        ("${{ params.tables | join(',') }}", Value::from("a,b")),
        ("${{ params.dir | upper }}", "BACKUPS".into()),
        ("${{ params.tables | length }}", Value::Int(2)),
        ("${{ params.tables | last }}", "b".into()),
        ("${{ '/a/b/c.zip' | basename }}", "c.zip".into()),
        ("${{ '/a/b/c.zip' | dirname }}", "/a/b".into()),
        ("${{ 'c.zip' | dirname }}", ".".into()),
        ("${{ 'a-b' | replace('-', '_') }}", "a_b".into()),
        ("${{ run.started_at | date('%Y-%m-%d') }}", "2026-11-22".into()),
        ("${{ run.started_at | date('%Y-%m-%d %H:%M', tz='+03:00') }}", "2026-11-23 00:30".into()),
    ] {
        assert_eq!(render(text), Ok(value), "{text}");
    }
    for (bad, said) in [
        ("${{ params.dir | uper }}", "no filter `uper`"),
        ("${{ params.dir | upper(1) }}", "takes 0 arguments"),
        ("${{ params.dir | replace('a') }}", "takes 2 arguments"),
        ("${{ run.started_at | date('%Q') }}", "no date format"),
        ("${{ length(params.dir) }}", "no functions"),
        ("${{ params.dir is odd }}", "no test `odd`"),
        ("${{ params.full && true }}", "`&&` is no operator"),
        ("${{ }}", "an expression is expected"),
        ("${{ params.dir", "not closed"),
    ] {
        assert!(render(bad).is_err_and(|m| m.contains(said)), "{bad}: {:?}", render(bad));
    }
}

#[test]
fn a_secret_taints_what_is_made_from_it() {
    for text in [
        "${{ secrets.pw }}",
        "x-${{ secrets.pw }}",
        "${{ secrets.pw ~ '!' }}",
        "${{ 'a' + secrets.pw }}",
        "${{ secrets.pw | upper }}",
        "${{ secrets.pw | length }}",
        "${{ secrets.pw == 'x' }}",
        "${{ ['a', secrets.pw] | join(',') }}",
        "${{ [secrets.pw] | first }}",
        "${{ secrets.pw if params.full else 'x' }}",
        "${{ secrets.none ~ 'x' }}",
        "a${{ secrets.none }}",
    ] {
        assert!(matches!(render(text), Ok(Value::Secret(_))), "{text}: {:?}", render(text));
    }
    let Ok(Value::Secret(made)) = render("${{ secrets.pw ~ '!' }}") else { panic!("a secret") };
    assert_eq!(made, Secret::new("hunter22!"));
    let Ok(Value::Secret(sealed)) = render("${{ secrets.none ~ '!' }}") else { panic!("a secret") };
    assert!(sealed.is_sealed());
}

#[test]
fn what_is_known_at_run_time_stays_unknown() {
    assert_eq!(render("${{ later.bytes > 5 }}"), Ok(Value::Unknown));
    assert_eq!(render("a ${{ later.bytes }} b"), Ok(Value::Unknown));
    assert_eq!(render("${{ false and later.bytes > 5 }}"), Ok(Value::Bool(false)));
    assert_eq!(render("${{ later.bytes > 5 or true }}"), Ok(Value::Bool(true)));
}

#[test]
fn names_have_their_places() {
    let text = "a ${{ steps.dump.outputs.path | default(params.dir) }}";
    let template = parse(text).expect("a template");
    let names: Vec<Name> = template.expressions().flat_map(Expression::names).collect();
    assert_eq!(names[0].path, ["steps", "dump", "outputs", "path"]);
    assert!(names[0].defaulted && !names[1].defaulted);
    let places: Vec<&str> = names[0].ranges.iter().map(|r| &text[r.clone()]).collect();
    assert_eq!(places, ["steps", "dump", "outputs", "path"]);
    assert_eq!(&text[names[1].range.clone()], "params.dir");
}

#[test]
fn types_are_inferred() {
    let map = |entries: &[(&str, Type)]| Type::Map(entries.iter().map(|(k, t)| ((*k).to_owned(), t.clone())).collect());
    let scope = map(&[
        ("params", map(&[("keep", Type::Int), ("dir", Type::Text), ("tables", Type::List(Box::new(Type::Text)))])),
        ("secrets", map(&[("pw", Type::Secret)])),
    ]);
    let infer = |text: &str| parse(text).expect(text).infer(&scope);
    for (text, found) in [
        ("${{ params.keep }}", Type::Int),
        ("${{ params.keep + 1 }}", Type::Int),
        ("x${{ params.keep }}", Type::Text),
        ("${{ params.tables | join(',') }}", Type::Text),
        ("${{ params.tables | first }}", Type::Text),
        ("${{ params.keep > 3 }}", Type::Bool),
        ("x${{ secrets.pw }}", Type::Secret),
        ("${{ secrets.pw | upper }}", Type::Secret),
        ("${{ params.nope }}", Type::Any),
    ] {
        assert_eq!(infer(text), (found, vec![]), "{text}");
    }
    for bad in [
        "${{ params.keep == 'a' }}",
        "${{ params.dir and true }}",
        "x${{ params.tables }}",
        "${{ params.keep | upper }}",
        "${{ params.dir + 1 }}",
    ] {
        assert_eq!(infer(bad).1.len(), 1, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\$\\{\\{|\\}\\}|[a-z.|()'\"\\[\\]{}~+* 0-9é\\\\]){0,40}") {
        if let Ok(template) = parse(&text) {
            let _ = template.render(&scope());
            let _ = template.infer(&Type::Any);
        }
        let _ = parse_expression(&text);
    }

    #[test]
    fn a_text_without_an_expression_is_itself(text in "[^$]{0,60}") {
        prop_assert_eq!(render(&text), Ok(Value::Text(text.clone())));
    }
}

/// Values that read each other several times would soon fill any memory.
#[test]
fn what_grows_is_refused_before_it_is_large() {
    let many = "params.dir".to_owned() + &" | replace('b', 'bbbbbbbbbbbbbbbb')".repeat(12);
    let list = format!("[{}] | join('{}')", ["1"; 900].join(", "), "x".repeat(4000));
    for text in [many, list] {
        assert!(render(&format!("${{{{ {text} }}}}")).is_err_and(|m| m.contains("longer than 1 MiB")), "{text}");
    }
    let mut scope = scope();
    scope.roots.push(("big".to_owned(), Value::Text("x".repeat(700_000))));
    let template = parse("${{ big }}${{ big }}").expect("it parses");
    assert!(template.render(&scope).is_err_and(|p| p.message.contains("longer than 1 MiB")));
    let json = serde_json::json!({ "a": ["${{ big }}", { "b": "${{ big }}" }] });
    let (at, problem) = render_json(&json, &scope).expect_err("it is too large");
    assert_eq!((at.as_str(), problem.message.as_str()), ("/a/1", "the value becomes larger than 1 MiB"));
}

#[test]
fn a_refusal_quotes_no_secret() {
    for text in [
        "secrets.pw | date('%Y')",
        "run.started_at | date(secrets.pw ~ '%Q')",
        "run.started_at | date('%Y', tz=secrets.pw)",
    ] {
        let said = render(&format!("${{{{ {text} }}}}")).expect_err("it does not fit");
        assert!(!said.contains("hunter22"), "{said}");
    }
}

#[test]
fn what_a_secret_chooses_or_names_is_one() {
    assert!(matches!(render("${{ params.tables[(secrets.pw | length) - 8] }}"), Ok(Value::Secret(_))));
    assert!(render("${{ {secrets.pw: 1} }}").is_err_and(|m| m == "a key is a text, found a secret"));
}

#[test]
fn of_a_text_with_secrets_in_it_the_rest_may_be_shown() {
    let scope = Scope::from(vec![(
        "secrets".to_owned(),
        Value::Map(vec![
            ("id".to_owned(), Value::Secret(Secret::new("hunter22"))),
            ("far".to_owned(), Value::Secret(Secret::sealed())),
        ]),
    )]);
    let shown = |text: &str, scope: &Scope| match parse(text).expect("a template").render(scope) {
        Ok(Value::Secret(secret)) => (secret.expose().map(str::to_owned), secret.shown().map(str::to_owned)),
        other => panic!("{text}: {other:?}"),
    };
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(shown("https://h/${{ secrets.id }}/x", &scope), (text("https://h/hunter22/x"), text("https://h/***/x")));
    assert_eq!(shown("https://h/${{ secrets.far }}/${{ 1 }}", &scope), (None, text("https://h/***/1")));
    assert_eq!(shown("${{ secrets.id }}", &scope), (text("hunter22"), None));
    // A name for it changes nothing; what is computed from it shows nothing.
    let whole = Secret::new("https://h/hunter22").showing("https://h/***");
    let scope = Scope::from(vec![("vars".to_owned(), Value::Map(vec![("at".to_owned(), Value::Secret(whole))]))]);
    assert_eq!(shown("${{ vars.at }}", &scope), (text("https://h/hunter22"), text("https://h/***")));
    assert_eq!(shown("${{ vars.at }}/${{ vars.at | upper }}", &scope).1, text("https://h/***/***"));
}

#[test]
fn a_step_is_found_in_its_place_also_after_the_map_was_replaced() {
    let steps = |ids: &[&str]| Value::Map(ids.iter().map(|id| ((*id).to_owned(), Value::from(*id))).collect());
    let mut scope = Scope::from(vec![("steps".to_owned(), steps(&["a", "b"]))]);
    let read = |scope: &Scope, text: &str| {
        parse_expression(text).expect("an expression").eval(scope).map_err(|p| (p.kind, p.message))
    };
    scope.set_step("c", Value::from("first"));
    scope.set_step("a", Value::from("second"));
    for (id, value) in [("a", "second"), ("b", "b"), ("c", "first")] {
        assert_eq!(read(&scope, &format!("steps.{id}")), Ok(Value::from(value)));
        assert_eq!(read(&scope, &format!("steps['{id}'] ~ ''")), Ok(Value::from(value)));
    }
    let missing = (ProblemKind::Name, "`d` does not exist".to_owned());
    assert_eq!(read(&scope, "steps.d"), Err(missing));
    assert_eq!(read(&scope, "steps.d is defined"), Ok(Value::Bool(false)));
    // Of the same length, in another order.
    scope.roots[0].1 = steps(&["c", "d", "a"]);
    assert_eq!(read(&scope, "steps.d"), Ok(Value::from("d")));
    scope.set_step("c", Value::from("third"));
    let all = [("c", "third"), ("d", "d"), ("a", "a")].map(|(id, value)| (id.to_owned(), Value::from(value)));
    assert_eq!(read(&scope, "steps"), Ok(Value::Map(all.to_vec())));
}
