//! What a run is about: the targets that the plan selects and the command line picks, or the one database of a plan
//! without targets.

use globset::GlobBuilder;

use crate::diag;
use crate::plan::{Checked, Target};
use crate::step::Env;
use crate::template::{self, Scope};
use crate::value::{Map, Value};

use super::scope;

/// One target of a run.
#[derive(Debug, Clone)]
pub struct Aim {
    /// Its name; none in a plan without targets.
    pub target: Option<String>,
    pub labels: Map,
    /// The plan with the target's database settings over its own.
    pub checked: Checked,
    /// The values of the plan's parameters, all of them.
    pub params: Map,
}

/// The targets of a run.
#[derive(Debug, Clone)]
pub struct Aims {
    /// At least one.
    pub all: Vec<Aim>,
    /// Those that the plan selects and the command line left out.
    pub unpicked: Vec<String>,
}

/// Why no run can begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// What was asked for is not there.
    Pick(String),
    /// The expression that selects targets reads a variable that is not set.
    Env(String),
    /// It cannot be computed.
    Select(String),
}

impl Aim {
    /// The one of a plan without targets.
    pub fn whole(checked: Checked, params: Map) -> Self {
        Self { target: None, labels: Map::new(), checked, params }
    }

    fn of(checked: &Checked, target: &Target, params: Map) -> Self {
        let labels = target.labels.iter().map(|(k, v)| (k.clone(), Value::from(v))).collect();
        Self { target: Some(target.name.clone()), labels, checked: checked.of(target), params }
    }

    /// Those that the plan selects and `pick` names, in the order of the plan; `pick` empty names all. `params` gives the
    /// values of the parameters for a target.
    ///
    /// # Errors
    /// A pick that fits none, with what is near; a selection that leaves none or cannot be computed.
    pub fn all(
        checked: &Checked,
        pick: &[String],
        env: &Env,
        params: &dyn Fn(Option<&Target>) -> Map,
    ) -> Result<Aims, Refused> {
        let all = checked.targets();
        let plan = checked.plan();
        if plan.targets.is_none() {
            return match pick.first() {
                Some(word) => Err(Refused::Pick(format!(
                    "the plan `{}` has no targets, so `--target {word}` picks nothing",
                    plan.name
                ))),
                None => Ok(Aims { all: vec![Self::whole(checked.clone(), params(None))], unpicked: Vec::new() }),
            };
        }
        let mut selected = Vec::new();
        for target in all {
            let params = params(Some(target));
            if selects(checked, target, &params, env)? {
                selected.push((target, params));
            }
        }
        if selected.is_empty() {
            let of = if all.len() == 1 { "the one target".to_owned() } else { format!("all {} targets", all.len()) };
            return Err(Refused::Pick(format!("no target is left: `select` of the plan is false for {of}")));
        }
        let picks = pick.iter().map(|word| Picked::read(word)).collect::<Result<Vec<_>, _>>()?;
        for picked in &picks {
            if !selected.iter().any(|(t, _)| picked.takes(t)) {
                let named: Vec<&Target> = selected.iter().map(|(t, _)| *t).collect();
                return Err(Refused::Pick(picked.missing(&named, all)));
            }
        }
        let bare = checked.bare();
        let mut aims = Aims { all: Vec::new(), unpicked: Vec::new() };
        for (target, params) in selected {
            if picks.is_empty() || picks.iter().any(|p| p.takes(target)) {
                aims.all.push(Self::of(&bare, target, params));
            } else {
                aims.unpicked.push(target.name.clone());
            }
        }
        Ok(aims)
    }
}

/// Whether the plan's own expression takes a target.
fn selects(checked: &Checked, target: &Target, params: &Map, env: &Env) -> Result<bool, Refused> {
    let plan = checked.plan();
    let Some(text) = plan.targets.as_ref().and_then(|t| t.select.as_ref()) else { return Ok(true) };
    let told =
        |problem: String| Refused::Select(format!("`targets.select` for the target `{}`: {problem}", target.name));
    let expression = template::parse_expression(text).map_err(|p| told(p.message))?;
    let missing = expression.names().into_iter().filter(|n| n.path[0] == "env" && !n.defaulted);
    if let Some(name) = missing.filter_map(|n| n.path.into_iter().nth(1)).find(|n| !env.contains_key(n)) {
        return Err(Refused::Env(format!("`targets.select`: the environment variable `{name}` is not set")));
    }
    let labels: Map = target.labels.iter().map(|(k, v)| (k.clone(), Value::from(v))).collect();
    let mut scope = Scope::default();
    scope::set(&mut scope, "params", Value::Map(params.clone()));
    scope::set_plan(&mut scope, plan, checked.dir());
    scope::set_env(&mut scope, plan, env);
    scope::set_target(&mut scope, &target.name, &labels);
    match expression.eval(&scope).map_err(|p| told(p.message))? {
        Value::Bool(truth) => Ok(truth),
        other => Err(told(format!("it gave {}, expected true or false", other.kind()))),
    }
}

/// What `--target` says.
enum Picked {
    Name(String, globset::GlobMatcher),
    Label(String, String, globset::GlobMatcher),
}

impl Picked {
    /// A name or a pattern of names; with `=` a label and its value or a pattern of it.
    fn read(word: &str) -> Result<Self, Refused> {
        let glob = |text: &str| {
            let built = GlobBuilder::new(text).literal_separator(false).build();
            built.map(|g| g.compile_matcher()).map_err(|e| Refused::Pick(format!("`--target {word}`: {e}")))
        };
        Ok(match word.split_once('=') {
            None => Self::Name(word.to_owned(), glob(word)?),
            Some((label, value)) => Self::Label(label.to_owned(), value.to_owned(), glob(value)?),
        })
    }

    fn takes(&self, target: &Target) -> bool {
        match self {
            Self::Name(name, glob) => target.name == *name || glob.is_match(&target.name),
            Self::Label(label, value, glob) => {
                target.labels.get(label).map(shown).is_some_and(|found| found == *value || glob.is_match(&found))
            }
        }
    }

    /// What to say when it takes none.
    fn missing(&self, selected: &[&Target], all: &[Target]) -> String {
        if let Some(target) = all.iter().find(|t| self.takes(t)) {
            return format!("the target `{}` is not one that `select` of the plan leaves", target.name);
        }
        let (what, word, mut there): (String, &str, Vec<String>) = match self {
            Self::Name(name, _) => {
                let names = selected.iter().map(|t| t.name.clone()).collect();
                (format!("the plan has no target `{name}`"), name, names)
            }
            Self::Label(label, value, _) => {
                let values: Vec<String> = selected.iter().filter_map(|t| t.labels.get(label)).map(shown).collect();
                if values.is_empty() {
                    let labels = selected.iter().flat_map(|t| t.labels.keys().cloned()).collect();
                    (format!("no target has the label `{label}`"), label, labels)
                } else {
                    (format!("no target has the label `{label}` with the value `{value}`"), value, values)
                }
            }
        };
        there.sort();
        there.dedup();
        match diag::nearest(word, there.iter().map(String::as_str)) {
            Some(near) => format!("{what}; did you mean `{near}`?"),
            None if there.is_empty() => what,
            None => {
                let shown: Vec<String> = there.iter().take(10).map(|n| format!("`{n}`")).collect();
                let more = if there.len() > 10 { format!(" and {} more", there.len() - 10) } else { String::new() };
                format!("{what}; there are {}{more}", shown.join(", "))
            }
        }
    }
}

/// A label as people type it.
fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
