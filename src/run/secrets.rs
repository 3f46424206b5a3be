//! Fetching a run's secrets: all of them before the first step, or, to look, just the database passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::missing::MissingSecret;
use super::{Aim, Request, paths, scope};
use crate::plan::{self, Plan};
use crate::secret::Secret;
use crate::template::{self, Scope};
use crate::value::{Map, Value};
use crate::vault::{self, Found, Source};

/// What fetching gave.
pub struct Fetched {
    /// The scope's `secrets`: those that are missing are not in it.
    pub values: Map,
    /// Every value at hand, for the redactor: also `PGPASSWORD` and the password file, which no plan needs to declare.
    pub known: Vec<Secret>,
    /// Every secret that is missing, a line each.
    pub problems: Vec<MissingSecret>,
    pub warnings: Vec<String>,
}

/// The secrets of a run, fetched once each: targets whose secret has the same source share what it gave.
pub struct Secrets<'a> {
    request: &'a Request,
    /// By name and rendered source.
    fetched: BTreeMap<(String, String), Result<Found, String>>,
    around: Vec<Secret>,
}

impl<'a> Secrets<'a> {
    pub fn new(request: &'a Request) -> Self {
        let mut around = plan::passwords_around(&request.env);
        around.extend(hidden_env(request.checked.plan(), request));
        Self { request, fetched: BTreeMap::new(), around }
    }

    /// Fetches every secret of the plan for a target.
    pub async fn fetch(&mut self, aim: &Aim, scope: &Scope) -> Fetched {
        let all = aim.checked.plan().secrets.names().map(str::to_owned).collect();
        self.gather(aim, scope, &all).await
    }

    /// Fetches what a look at a database needs: passwords from the environment or a file, for a server that the user's own
    /// settings name, or for any with `--connect`. Everything else stays sealed, and no program is started.
    pub async fn fetch_for_looking(&mut self, aim: &Aim, scope: &Scope) -> Fetched {
        let plan = aim.checked.plan();
        let wanted = scope::secrets_behind(plan, scope::password_names(plan));
        let may = self.request.connect || self.leads_to_users_own(aim, scope);
        let readable = |name: &&String| may && plan.secrets.get(name).is_some_and(|s| s.command.is_none());
        let wanted: BTreeSet<String> = wanted.iter().filter(readable).cloned().collect();
        let mut fetched = self.gather(aim, scope, &wanted).await;
        for (name, source) in plan.secrets.iter().filter(|(n, _)| !wanted.contains(*n)) {
            let absent = rendered(source, scope, aim.checked.dir())
                .ok()
                .and_then(|s| vault::absent(name, &s, &self.request.env));
            fetched.problems.extend(absent.map(|problem| MissingSecret { name: name.to_owned(), problem }));
            fetched.values.push((name.to_owned(), Value::Secret(Secret::sealed())));
        }
        fetched
    }

    /// Fetches the secrets with these names for a target.
    pub async fn fetch_named(&mut self, aim: &Aim, scope: &Scope, names: &BTreeSet<String>) -> Fetched {
        self.gather(aim, scope, names).await
    }

    /// Whether the plan's database is on the server that the user's own settings name. What leads there holds no secret, so
    /// none needs to be fetched to know it.
    fn leads_to_users_own(&self, aim: &Aim, scope: &Scope) -> bool {
        let mut scope = scope.clone();
        let sealed = aim.checked.plan().secrets.names().map(|n| (n.to_owned(), Value::Secret(Secret::sealed())));
        scope::set(&mut scope, "secrets", Value::Map(sealed.collect()));
        scope::compute(&mut scope, aim.checked.plan(), aim.checked.dir(), &self.request.env);
        let database = scope.roots.iter().find(|(k, _)| k == "database");
        database.is_some_and(|(_, settings)| plan::is_users_own_server(settings, &self.request.env))
    }

    async fn gather(&mut self, aim: &Aim, scope: &Scope, names: &BTreeSet<String>) -> Fetched {
        let known = self.around.clone();
        let mut fetched = Fetched { values: Map::new(), known, problems: Vec::new(), warnings: Vec::new() };
        for (name, source) in aim.checked.plan().secrets.iter().filter(|(n, _)| names.contains(*n)) {
            if let Some((_, secret)) = self.request.handed.iter().find(|(handed, _)| handed == name) {
                fetched.known.push(secret.clone());
                fetched.values.push((name.to_owned(), Value::Secret(secret.clone())));
                continue;
            }
            let found = match rendered(source, scope, aim.checked.dir()) {
                Ok(source) => self.once(name, &source).await,
                Err(problem) => Err(format!("secret `{name}`: {problem}")),
            };
            match found {
                Ok(found) => {
                    fetched.warnings.extend(found.warnings);
                    fetched.known.push(found.secret.clone());
                    fetched.values.push((name.to_owned(), Value::Secret(found.secret)));
                }
                Err(problem) => fetched.problems.push(MissingSecret { name: name.to_owned(), problem }),
            }
        }
        fetched
    }

    async fn once(&mut self, name: &str, source: &Source) -> Result<Found, String> {
        let key = (name.to_owned(), format!("{source:?}"));
        if let Some(found) = self.fetched.get(&key) {
            return found.clone();
        }
        let (env, dir, stop) = (&self.request.env, self.request.checked.dir(), &self.request.stop);
        let found = vault::fetch(name, source, env, dir, stop).await.map_err(|e| e.to_string());
        self.fetched.insert(key, found.clone());
        found
    }
}

impl Fetched {
    /// Which of the secrets are weak and so masked only where they stand alone, a warning each.
    pub fn weak(&self, names: &[String]) -> Vec<String> {
        let weak = self.values.iter().filter_map(|(name, value)| match value {
            Value::Secret(secret) => Some((name, secret.weakness(names)?)),
            _ => None,
        });
        weak.map(|(name, why)| format!("the secret `{name}` {why}: it is masked only where it stands alone")).collect()
    }

    /// Seals the secrets that are missing, so that the rest can be decided without them.
    pub fn seal_missing(&mut self, plan: &Plan) {
        let there: BTreeSet<String> = self.values.iter().map(|(name, _)| name.clone()).collect();
        let missing = plan.secrets.names().filter(|name| !there.contains(*name));
        self.values.extend(missing.map(|name| (name.to_owned(), Value::Secret(Secret::sealed()))));
    }
}

/// Environment variables that secrets read, whether or not those were wanted: a template can read them as `env` too.
fn hidden_env(plan: &Plan, request: &Request) -> Vec<Secret> {
    let names = plan.secrets.iter().filter_map(|(_, s)| s.env.as_ref());
    names.filter_map(|n| request.env.get(n)).filter(|v| !v.is_empty()).map(|v| Secret::new(v.clone())).collect()
}

/// A source with the templates in its file name and arguments rendered. A relative file, and a program that is named with
/// its folder, belong to the folder of the plan.
fn rendered(source: &Source, scope: &Scope, dir: &Path) -> Result<Source, String> {
    let text = |text: &String| -> Result<String, String> {
        let template = template::parse(text).map_err(|p| p[0].message.clone())?;
        match template.render(scope).map_err(|p| p.message)? {
            Value::Text(text) => Ok(text),
            Value::Int(number) => Ok(number.to_string()),
            other => Err(format!("expected a text, found {}", other.kind())),
        }
    };
    let file = source.file.as_ref().map(text).transpose()?;
    let mut command: Option<Vec<String>> =
        source.command.as_ref().map(|argv| argv.iter().map(text).collect()).transpose()?;
    if let Some(program) = command.as_mut().and_then(|argv| argv.first_mut()) {
        *program = paths::program(dir, program)?;
    }
    let file = file.map(|file| plan::absolute(dir, &file)).transpose()?;
    Ok(Source { env: source.env.clone(), file, command })
}
