//! The first moment of a run: its id, its time, the folder of its log.

use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Aim, Request, folder, scope};
use crate::plan::Plan;
use crate::template::Scope;
use crate::value::{Map, Value};

/// What all targets of a run share.
pub struct Begun {
    pub id: String,
    pub started_at: DateTime<Utc>,
    pub clock: Instant,
    pub log_dir: PathBuf,
}

/// How many ids are tried until one has no folder of logs yet: many runs of a plan may begin in one second.
const IDS: usize = 100;

pub fn begin(request: &Request) -> Begun {
    let mut begun = begin_as_new(request);
    for _ in 1..IDS {
        if !begun.log_dir.exists() {
            break;
        }
        begun = begin_as_new(request);
    }
    begun
}

fn begin_as_new(request: &Request) -> Begun {
    let clock = Instant::now();
    let started_at = Utc::now();
    let mut random = [0u8; 2];
    // Without a source of randomness the process number keeps two runs of one second apart.
    if getrandom::fill(&mut random).is_err() {
        random = (std::process::id() as u16).to_be_bytes();
    }
    let id = format!("{}-{:02x}{:02x}", started_at.format("%Y%m%dT%H%M%SZ"), random[0], random[1]);
    let mut begun = Begun { id, started_at, clock, log_dir: PathBuf::new() };
    let plan = request.checked.plan();
    let scope = begun.ground(request, plan, &request.params);
    begun.log_dir = folder::of_logs(&request.checked, &scope, &request.env).join(&plan.name).join(&begun.id);
    begun
}

impl Begun {
    /// When it began, as templates read it.
    pub fn time(&self) -> String {
        self.started_at.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    fn ground(&self, request: &Request, plan: &Plan, params: &Map) -> Scope {
        scope::ground(&scope::Ground {
            plan,
            dir: request.checked.dir(),
            params,
            env: &request.env,
            run: &self.id,
            started_at: &self.time(),
            host: &request.host,
        })
    }

    /// What the templates of a target may read before anything was fetched or computed.
    pub fn scope(&self, request: &Request, aim: &Aim) -> Scope {
        let mut scope = self.ground(request, aim.checked.plan(), &aim.params);
        let text = |path: &Path| Value::Text(path.to_string_lossy().into_owned());
        scope::set_log(&mut scope, text(&self.log_dir), text(&self.log_file(aim)));
        if let Some(target) = &aim.target {
            scope::set_target(&mut scope, target, &aim.labels);
        }
        scope
    }

    /// The log of a target; in a plan without targets that of the run.
    pub fn log_file(&self, aim: &Aim) -> PathBuf {
        self.log_dir.join(format!("{}.log", aim.target.as_deref().unwrap_or("run")))
    }
}
