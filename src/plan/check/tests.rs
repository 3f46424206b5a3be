//! Lints that need executors which a test can make up: only their names and parameters count.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diag::Finding;
use crate::plan::{Input, check};
use crate::step::{Entry, Fault, Look, Preview, Registry, Step, StepError, Touch};

/// Nothing.
#[derive(Serialize, JsonSchema)]
struct Output {
    path: String,
}

macro_rules! executor {
    ($type:ident, $params:ident, $name:literal, { $($field:ident: $kind:ty),* }) => {
        /// Parameters.
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only the schema counts here")]
        struct $params { $(#[serde(default)] $field: $kind),* }
        struct $type;
        impl Step for $type {
            const NAME: &'static str = $name;
            const EXAMPLE: &'static str = "";
            type Params = $params;
            type Output = Output;
            type Work = ();
            fn check(params: &serde_json::Value) -> Vec<Fault> {
                let both = params.get("dir").is_some() && params.get("plan").is_some() && params.get("pattern").is_some();
                let fault = || Fault { pointer: "/pattern".to_owned(), at_key: true, message: "`pattern` excludes `plan`".to_owned(), help: None };
                both.then(fault).into_iter().collect()
            }
            async fn plan(_: $params, _: &Look) -> Result<(), StepError> { Ok(()) }
            fn preview(_: &()) -> Preview { Preview::default() }
            async fn apply(_: (), _: &Touch) -> Result<Output, StepError> { Ok(Output { path: String::new() }) }
        }
    };
}

/// An archive.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema counts here")]
struct Archive {
    path: String,
}

executor!(Dump, DumpParams, "pg_dump", { archive: Option<Archive>, file: Option<String> });
executor!(Copy, CopyParams, "copy", { from: Option<String>, to: Option<String> });
executor!(Retention, RetentionParams, "retention", { dir: Option<String>, plan: Option<String>, pattern: Option<String> });
executor!(Email, EmailParams, "email", { to: Option<Vec<String>>, subject: Option<String> });

const REGISTRY: Registry =
    Registry(&[Entry::of::<Dump>(), Entry::of::<Copy>(), Entry::of::<Retention>(), Entry::of::<Email>()]);

fn findings(body: &str) -> Vec<Finding> {
    let text = format!("version: 1\nname: night\ntimeout: 6h\n{body}");
    check(Input { name: "plan.yaml".to_owned(), dir: "/".into(), text, dbname_in_env: true }, &REGISTRY).findings
}

fn codes(body: &str) -> Vec<u16> {
    findings(body).iter().map(|f| f.code.0).collect()
}

const DUMP: &str =
    "  - { id: dump, uses: pg_dump, with: { archive: { path: \"${{ vars.base }}/a-${{ run.id }}.zip\" } } }\n";
const HEAD: &str =
    "params: { dir: { type: string, default: b } }\nvars: { base: \"${{ params.dir }}/daily\" }\nsteps:\n";

#[test]
fn retention_stands_behind_what_looks_at_archives() {
    let copy = "  - { uses: copy, with: { from: \"${{ steps.dump.outputs.path }}\", to: /mnt } }\n";
    let prune = "  - { uses: retention, with: { dir: \"${{ params.dir }}/daily/\" } }\n";
    let prune_copies = "  - { uses: retention, with: { dir: /mnt } }\n";
    assert_eq!(codes(&format!("{HEAD}{DUMP}{prune}{copy}{prune_copies}")), [505]);
    assert_eq!(codes(&format!("{HEAD}{DUMP}{copy}{prune}{prune_copies}")), [0; 0]);
    // Copies that nobody prunes are another matter.
    assert_eq!(codes(&format!("{HEAD}{DUMP}{copy}{prune}")), [516]);
    // A handler that copies comes later too, and is another matter.
    assert_eq!(codes(&format!("{HEAD}{DUMP}{prune}on_success:\n{}", copy)), [0; 0]);
}

#[test]
fn retention_looks_where_the_plan_puts_archives() {
    let prune = |dir: &str| format!("{HEAD}{DUMP}  - {{ uses: retention, with: {{ dir: {dir} }} }}\n");
    for right in
        ["\"${{ vars.base }}\"", "\"${{params.dir}}/daily\"", "\"./${{ params.dir }}/daily/\"", "b, plan: other"]
    {
        assert_eq!(codes(&prune(right)), [0; 0], "{right}");
    }
    for wrong in ["\"${{ params.dir }}\"", "b/weekly", "\"${{ vars.base }}/old\""] {
        assert_eq!(codes(&prune(wrong)), [506], "{wrong}");
    }
    // Where a copy goes archives lie too; what is not known before the run is let pass.
    let copy = "  - { uses: copy, with: { to: /mnt/share } }\n";
    assert_eq!(codes(&format!("steps:\n{copy}  - {{ uses: retention, with: {{ dir: /mnt/share }} }}\n")), [0; 0]);
    let somewhere = "  - { uses: pg_dump, with: { file: \"${{ env.TARGET }}\" } }\n";
    assert_eq!(codes(&format!("steps:\n{somewhere}  - {{ uses: retention, with: {{ dir: b }} }}\n")), [0; 0]);
    assert_eq!(codes("steps:\n  - { uses: retention, with: { dir: b } }\n"), [506]);
}

#[test]
fn a_mail_goes_to_somebody() {
    let mail = |to: &str, default: &str| {
        let all = format!("params: {{ to: {{ type: array, items: {{ type: string }}, default: {default} }} }}\n");
        let read = "steps:\n  - { uses: email, when: params.to | length > 9, with: { to: [a] } }\n";
        codes(&format!("{all}{read}on_failure:\n  - {{ uses: email, with: {{ to: {to} }} }}\n"))
    };
    assert_eq!(mail("[dba@example.org]", "[]"), [0; 0]);
    assert_eq!(mail("\"${{ params.to }}\"", "[dba@example.org]"), [0; 0]);
    assert_eq!(mail("\"${{ params.to }}\"", "[]"), [507]);
    assert_eq!(mail("[]", "[]"), [507]);
    let defaults = "defaults: { email: { to: [] } }\nsteps:\n  - { uses: email }\n";
    assert_eq!(codes(defaults), [507]);
}

#[test]
fn an_executor_says_what_a_schema_cannot() {
    let found = findings("steps:\n  - { uses: retention, with: { dir: b, plan: p, pattern: x } }\n");
    assert_eq!(found.iter().map(|f| f.code.0).collect::<Vec<_>>(), [203]);
    assert_eq!((found[0].span.end - found[0].span.start, found[0].message.as_str()), (7, "`pattern` excludes `plan`"));
    // Given under `defaults`, it is found there.
    let found = findings(
        "defaults: { retention: { pattern: x, plan: p } }\nsteps:\n  - { uses: retention, with: { dir: b } }\n",
    );
    assert_eq!(found.iter().map(|f| f.code.0).collect::<Vec<_>>(), [203]);
    assert_eq!(found[0].span.end - found[0].span.start, 7);
}

#[test]
fn a_handler_reads_the_failure_also_through_defaults() {
    let plan = |list: &str| {
        format!(
            "defaults: {{ email: {{ subject: \"at ${{{{ failure.step }}}}\", to: [a] }} }}\nsteps:\n  - {{ uses: pg_dump }}\n{list}:\n  - {{ uses: email }}\n"
        )
    };
    assert_eq!(codes(&plan("on_failure")), [0; 0]);
    assert_eq!(codes(&plan("finally")), [0; 0]);
    assert_eq!(codes(&plan("on_success")), [303]);
}

#[test]
fn a_long_chain_of_vars_is_walked_without_a_deep_stack() {
    let mut vars = String::from("vars:\n");
    for i in 0..5000 {
        vars += &format!("  v{i}: ${{{{ vars.v{} }}}}\n", i + 1);
    }
    vars += "  v5000: end\nsteps:\n  - { uses: pg_dump, with: { file: \"${{ vars.v0 }}\" } }\n";
    assert_eq!(codes(&vars), [8]);
    let cyclic = vars.replace("v5000: end", "v5000: ${{ vars.v4998 }}");
    let found = findings(&cyclic);
    assert_eq!(found.iter().map(|f| f.code.0).collect::<Vec<_>>(), [8, 305], "{found:?}");
    let chain = "vars.v4998 -> vars.v4999 -> vars.v5000 -> vars.v4998";
    assert!(found[1].message.ends_with(chain), "{}", found[1].message);
}
