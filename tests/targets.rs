//! The targets of a run, with readers of a test's own.

use std::io;
use std::sync::{Arc, Mutex};

use runplan::cancel::Cancel;
use runplan::event::{Event, Fact, Pick, Reader, Section};
use runplan::plan::{self, Input};
use runplan::report::Collector;
use runplan::run::{self, Aim, End, Request};
use runplan::step::{Env, Status};
use runplan::steps::REGISTRY;
use runplan::value::Map;

/// Breaks when the target `b` begins its step, as a fault of our own would.
struct Breaks;

impl Reader for Breaks {
    fn event(&self, event: &Event) -> io::Result<()> {
        let begins = matches!(&event.fact, Fact::StepStarted { step, .. } if step.section == Section::Steps);
        assert!(!(begins && event.target.as_deref() == Some("b")), "a fault that was planted");
        Ok(())
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Keeps(Mutex<Vec<Event>>);

impl Reader for Keeps {
    fn event(&self, event: &Event) -> io::Result<()> {
        self.0.lock().expect("nobody breaks here").push(event.clone());
        Ok(())
    }
}

#[test]
fn a_fault_of_our_own_in_one_target_costs_the_others_nothing() {
    run::quiet_panics();
    let dir = tempfile::tempdir().expect("a folder");
    let text = "version: 1\nname: night\ntargets:\n  max_parallel: 2\n  list: [{ name: a }, { name: b }, { name: c }]\nsteps:\n\
                \x20 - { uses: command, with: { argv: [sh, -c, 'sleep 0.2'] } }\n\
                on_failure:\n  - { uses: command, with: { argv: [touch, '${{ plan.dir }}/told-${{ target.name }}'] } }\n";
    let input = Input {
        name: "plan.yaml".to_owned(),
        dir: dir.path().to_path_buf(),
        text: text.to_owned(),
        dbname_in_env: true,
    };
    let checked = plan::check(input, &REGISTRY).checked.expect("a good plan");
    let mut env: Env = std::env::vars().collect();
    env.insert("XDG_STATE_HOME".to_owned(), dir.path().to_string_lossy().into_owned());
    let (collector, keeps) = (Arc::new(Collector::default()), Arc::new(Keeps::default()));
    let readers: Vec<Arc<dyn Reader>> =
        vec![Arc::clone(&collector) as Arc<dyn Reader>, Arc::clone(&keeps) as Arc<dyn Reader>, Arc::new(Breaks)];
    let request = Request {
        aims: Aim::all(&checked, &[], &env, &|_| Map::new()).expect("three targets").all,
        unpicked: Vec::new(),
        checked,
        registry: REGISTRY,
        params: Map::new(),
        env,
        host: "here".to_owned(),
        pick: Pick::default(),
        connect: false,
        given: Vec::new(),
        handed: Vec::new(),
        resumed: None,
        stop: Cancel::new(),
        abort: Cancel::new(),
        readers,
        open_journal: Box::new(|_| Ok(Arc::new(Keeps::default()))),
        subject_of: |_| None,
        exit_code: |_| 0,
        resume_command: |_, _, _| None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ended = runtime.block_on(run::run(request));
    assert_eq!(ended.end, End::Failed);
    let result = collector.result(None);
    let status: Vec<_> = result.targets.iter().map(|t| (t.target.as_str(), t.status)).collect();
    assert_eq!(status, [("a", Some(Status::Ok)), ("b", Some(Status::Failed)), ("c", Some(Status::Ok))]);
    assert!(result.failure.is_some_and(|f| f.error.contains("1 of 3 targets failed: `b`: an internal fault")));
    assert!(dir.path().join("told-b").exists() && !dir.path().join("told-a").exists(), "its handlers ran");
    let events = keeps.0.lock().expect("nobody broke here");
    assert!(matches!(events.last().map(|e| &e.fact), Some(Fact::RunFinished { .. })), "the last event is the last");
}
