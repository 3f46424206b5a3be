//! Disks that are full: at the archive, at the flush, at the log, at the second folder, everywhere.

use crate::night::{Night, as_recorded, bytes, opens, zips};
use crate::world::Run;

/// A night with two good archives to lose, and a database whose dump does not fit where these do.
fn night() -> Night {
    let night = Night::new();
    night.two_good_nights();
    night.world.sql("CREATE TABLE big AS SELECT md5(g::text) AS m FROM generate_series(1, 40000) g");
    night
}

/// Mounts a file system of that size on a folder, with what lay in it, and runs the plan; what then lies there is left in
/// `after`.
fn small(folder: &str, size: &str) -> String {
    format!(
        "set -e; cp -a {folder} before; mount -t tmpfs -o size={size},mode=700 none {folder}; cp -a before/. {folder}/; \
         set +e; \"$@\"; code=$?; cp -a {folder} after; exit $code"
    )
}

/// The one mail of a night, which says that.
fn mail(night: &Night, before: usize, says: &str, run: &Run) {
    let mails = night.mails(before);
    assert_eq!(mails.len(), 1, "{}", run.said);
    let text = mails[0].part("text");
    assert!(text.contains(says), "`{says}` is not in {text}");
}

#[test]
fn no_space_while_the_archive_is_written_costs_nothing_that_was_there() {
    let night = night();
    let (before, copies, mails) =
        (bytes(&night.world.path("backups")), bytes(&night.world.path("share")), night.server.mails().len());
    let run = night.apart(&small("backups", "200k")).ends(1).says("No space left on device");
    assert!(bytes(&night.world.path("after")) == before, "{:?}", night.world.names("after"));
    assert!(bytes(&night.world.path("share")) == copies, "nothing is copied, and no copy goes");
    mail(&night, mails, "No space left on device", &run);
    // With room again the next night is a good one.
    night.run(&[]).ends(0);
}

/// Runs the plan with system calls that fail, chosen by arguments of `strace`.
fn failing(night: &Night, inject: &str) -> Run {
    night.apart(&format!("exec strace -f -qq -o trace {inject} \"$@\""))
}

#[test]
fn no_space_at_the_flush_or_at_the_last_name_makes_no_archive() {
    let mut night = night();
    night.edit("app-${{ run.id }}.zip", "tonight.zip");
    let (before, copies) = (bytes(&night.world.path("backups")), bytes(&night.world.path("share")));
    for (paths, inject, folder) in [
        // The archive, its record, the folder; then the same at the copy.
        ("backups/tonight.zip.partial", "fsync,fdatasync:error=ENOSPC", "backups"),
        ("backups/tonight.zip.json.partial", "fsync,fdatasync:error=ENOSPC", "backups"),
        ("backups/tonight.zip.partial", "renameat2,linkat:error=ENOSPC", "backups"),
        ("backups/tonight.zip.json.partial", "renameat2,linkat:error=EIO", "backups"),
        ("backups/tonight.zip.partial", "write,pwrite64:error=ENOSPC:when=2+", "backups"),
        ("share/tonight.zip.partial", "fsync,fdatasync:error=ENOSPC", "share"),
        ("share/tonight.zip.partial", "write:error=ENOSPC", "share"),
        ("share/tonight.zip.json.partial", "write:error=EDQUOT", "share"),
        ("share/tonight.zip.partial", "renameat2,linkat:error=ENOSPC", "share"),
    ] {
        let mails = night.server.mails().len();
        let calls = inject.split(':').next().unwrap_or_default();
        let run = failing(
            &night,
            &format!("-P {} -P {paths} -e trace={calls} -e inject={inject}", night.world.path(paths).display()),
        );
        let trace = std::fs::read_to_string(night.world.path("trace")).expect("a trace");
        assert!(trace.contains("INJECTED"), "{paths} {inject}: nothing failed: {trace}");
        let run = run.ends(1);
        if folder == "backups" {
            assert!(bytes(&night.world.path("backups")) == before, "{inject}: {:?}", night.world.names("backups"));
        } else {
            // The archive itself is a good one; the copy is missing, and for that nothing goes.
            let archive = night.world.path("backups/tonight.zip");
            as_recorded(&archive).expect("a good archive");
            assert_eq!(zips(&night.world, "backups").len(), 3, "{inject}");
            for name in ["tonight.zip", "tonight.zip.json"] {
                std::fs::remove_file(night.world.path("backups").join(name)).expect("the archive");
            }
        }
        let now = bytes(&night.world.path("share"));
        assert!(now == copies, "{paths} {inject}: {:?}", night.world.names("share"));
        mail(&night, mails, if folder == "share" { "copy" } else { "dump" }, &run);
    }
}

#[test]
fn no_space_for_the_log_is_said_by_exit_73_and_mail_and_spoils_no_archive() {
    for (size, done) in [("size=8k", true), ("size=1m,nr_inodes=2", false)] {
        let night = night();
        std::fs::remove_dir_all(night.world.path("logs")).expect("the logs");
        std::fs::create_dir(night.world.path("logs")).expect("the logs");
        let mails = night.server.mails().len();
        let before = zips(&night.world, "backups");
        let run = night.apart(&small("logs", size.trim_start_matches("size="))).ends(73).says("cannot be written");
        mail(&night, mails, "cannot be written", &run);
        let after = zips(&night.world, "backups");
        assert_eq!(after.len(), 2);
        // What could be done without a log was done whole; what could not was not begun.
        assert_eq!(after != before, done, "{size}: {after:?}");
        for name in &after {
            let archive = night.world.path("backups").join(name);
            as_recorded(&archive).expect("a good archive");
            opens(&archive).expect("an archive that opens");
        }
        assert_eq!(night.world.names("backups").len(), 4, "{:?}", night.world.names("backups"));
    }
}

#[test]
fn a_full_second_folder_fails_the_night_and_costs_no_copy_and_no_archive() {
    let night = night();
    let copies = bytes(&night.world.path("share"));
    let before = zips(&night.world, "backups");
    let mails = night.server.mails().len();
    let run = night.apart(&small("share", "100k")).ends(1).says("is needed");
    assert!(bytes(&night.world.path("after")) == copies, "{:?}", night.world.names("after"));
    let after = zips(&night.world, "backups");
    assert_eq!(after.len(), 3, "the new one, and none of the old ones goes: {after:?}");
    assert!(before.iter().all(|b| after.contains(b)));
    after.iter().for_each(|name| drop(as_recorded(&night.world.path("backups").join(name)).expect("a good archive")));
    mail(&night, mails, "is needed", &run);
}

#[test]
fn with_no_space_anywhere_the_mail_still_goes() {
    let night = night();
    let (before, copies, mails) =
        (bytes(&night.world.path("backups")), bytes(&night.world.path("share")), night.server.mails().len());
    // Archives, copies, logs and state on one disk without a byte left.
    let script = "set -e; mkdir full; mount -t tmpfs -o size=300k,mode=700 none full; \
        for d in backups share logs state; do cp -a $d full/; mount --bind full/$d $d; done; \
        (cat /dev/zero > full/filler) 2>/dev/null || true; set +e; \"$@\"; code=$?; \
        cp -a backups after; cp -a share after-share; exit $code";
    let run = night.apart(script).ends(73);
    assert!(bytes(&night.world.path("after")) == before, "{:?}", night.world.names("after"));
    assert!(bytes(&night.world.path("after-share")) == copies, "{:?}", night.world.names("after-share"));
    mail(&night, mails, "nothing is free", &run);
}
