//! Memory does not grow with what is dumped.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::world::World;

/// The peak of a process while it runs, in KiB, as the kernel keeps it (`VmHWM` in proc(5)).
fn peak(mut child: Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().expect("it is ours").is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = line.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().expect("it ends").success(), "the run failed");
    most
}

#[test]
fn ten_times_the_rows_take_no_more_memory() {
    let world = World::with_database();
    world.sql("CREATE TABLE small AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 4000) g");
    world.sql("CREATE TABLE large AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 40000) g");
    let mut number = 0;
    let mut of = |table: &str, packing: &str| {
        number += 1;
        let archive = format!("path: 'out/{number}.zip', password: '${{{{ secrets.zip }}}}', {packing}, threads: 2");
        let step = format!("{{ uses: pg_dump, with: {{ tables: [{table}], archive: {{ {archive} }} }} }}");
        world.write(
            "plan.yaml",
            format!("version: 1\nname: night\nlogs: {{ dir: logs }}\nsecrets: {{ zip: {{ env: TEST_ZIP }} }}\nsteps:\n  - {step}\n"),
        );
        let mut command = world.runplan();
        peak(command.arg("plan.yaml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs"))
    };
    for packing in ["level: fast", "level: small", "compression: zstd", "compression: store"] {
        let (small, large) = (of("small", packing), of("large", packing));
        assert!(large < small + 2048, "{packing}: {small} KiB with 3 MB of dump, {large} KiB with 26 MB");
    }
}
