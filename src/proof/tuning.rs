//! Settings of a throwaway server: everything that makes loading fast and that a server with data to lose needs.

/// What the machine has for the server.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Processors.
    pub processors: u8,
    /// Bytes of memory that are free for programs.
    pub memory: u64,
    /// Bytes free where the cluster lies.
    pub room: u64,
}

const MIB: u64 = 1 << 20;

impl Machine {
    /// What is there now; unknown figures are taken as small.
    pub fn measure(room: Option<u64>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |n| u8::try_from(n.get()).unwrap_or(u8::MAX));
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|t| t.trim().parse().ok());
        let memory = available(&text).unwrap_or(512 * MIB).min(limit.unwrap_or(u64::MAX));
        Self { processors, memory, room: room.unwrap_or(0) }
    }

    /// How many connections restore at a time when the plan does not say it.
    pub fn jobs(self) -> u8 {
        self.processors.clamp(1, 16)
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The settings, as `name=value`. Nothing is kept through a crash, WAL holds only what the server cannot do without, and
/// memory is a share of what is free.
pub fn settings(machine: Machine, jobs: u8) -> Vec<String> {
    let jobs = u64::from(jobs.max(1));
    let buffers = (machine.memory / 4).clamp(64 * MIB, 2048 * MIB) / MIB;
    // Each connection may build an index at the same time.
    let work = (machine.memory / 4 / jobs).clamp(64 * MIB, 1024 * MIB) / MIB;
    let wal = (machine.room / 8).clamp(256 * MIB, 4096 * MIB) / MIB;
    let workers = machine.processors.clamp(1, 8);
    let fixed = [
        "listen_addresses=",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_logical_replication_workers=0",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        // A relation made in the same transaction is not logged, however small it is.
        "wal_skip_threshold=0",
        "autovacuum=off",
        "checkpoint_timeout=1d",
        "bgwriter_lru_maxpages=0",
        "restart_after_crash=off",
        "max_locks_per_transaction=256",
        "huge_pages=off",
        "jit=off",
    ];
    let sized = [
        format!("shared_buffers={buffers}MB"),
        format!("maintenance_work_mem={work}MB"),
        format!("max_wal_size={wal}MB"),
        format!("max_parallel_maintenance_workers={workers}"),
        format!("max_connections={}", jobs + 16),
    ];
    fixed.map(str::to_owned).into_iter().chain(sized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_bounded_share_of_what_is_free() {
        let of = |memory: u64, room: u64, jobs: u8| settings(Machine { processors: 2, memory, room }, jobs).join(" ");
        let small = of(100 * MIB, 0, 1);
        assert!(small.contains("shared_buffers=64MB maintenance_work_mem=64MB max_wal_size=256MB"), "{small}");
        let large = of(64 << 30, 1 << 40, 4);
        assert!(large.contains("shared_buffers=2048MB maintenance_work_mem=1024MB max_wal_size=4096MB"), "{large}");
        assert!(large.contains("max_connections=20") && of(1 << 30, 0, 64).contains("max_connections=80"));
        // Together never more than the half of it, beyond the least that the server needs.
        let middle = of(4 << 30, 8 << 30, 8);
        assert!(middle.contains("shared_buffers=1024MB maintenance_work_mem=128MB max_wal_size=1024MB"), "{middle}");
    }

    #[test]
    fn the_memory_that_is_free_is_read_in_bytes() {
        assert_eq!(available("MemTotal:  8 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 8 kB\n"), None);
    }
}
