//! The second folder that is not mounted, and file systems that can less than one expects.

use crate::night::{Night, as_recorded, bytes, opens, zips};
use crate::world::Run;

#[test]
fn a_share_that_is_not_mounted_gets_nothing_and_loses_nothing_and_the_night_fails() {
    let mut night = Night::new();
    night.two_good_nights();
    night.edit("to: share }", "to: share, require_mount: true }");
    // The empty folder below the mount point, or one with what was once put there by mistake.
    for empty in [false, true] {
        if empty {
            std::fs::remove_dir_all(night.world.path("share")).expect("the share");
            std::fs::create_dir(night.world.path("share")).expect("the share");
        }
        let (copies, archives) = (bytes(&night.world.path("share")), zips(&night.world, "backups"));
        let mails = night.server.mails().len();
        night.run(&[]).ends(1).says("is not the root of a mounted file system; nothing was written there");
        assert!(bytes(&night.world.path("share")) == copies, "{:?}", night.world.names("share"));
        let after = zips(&night.world, "backups");
        assert!(archives.iter().all(|a| after.contains(a)) && after.len() == archives.len() + 1, "{after:?}");
        after.iter().for_each(|a| drop(as_recorded(&night.world.path("backups").join(a)).expect("a good archive")));
        let told = night.mails(mails);
        assert_eq!(told.len(), 1);
        assert!(told[0].header("Subject").contains("copy"), "{}", told[0].header("Subject"));
        // Also when the copy may fail: a folder that got no copy is not pruned, and neither is the first.
        night.edit("{ id: copy, uses:", "{ id: copy, continue_on_error: true, uses:");
        let archives = zips(&night.world, "backups");
        night.run(&[]).ends(0).says("is not the root of a mounted file system").says("nothing is removed");
        assert!(bytes(&night.world.path("share")) == copies, "{:?}", night.world.names("share"));
        assert_eq!(zips(&night.world, "backups").len(), archives.len() + 1);
        night.edit("continue_on_error: true, ", "");
    }
    // Mounted, it works, and what is pruned is what lies on the mount.
    let script = "set -e; mount -t tmpfs -o size=10m,mode=700 none share; set +e; \"$@\"; code=$?; cp -a share after; exit $code";
    night.apart(script).ends(0);
    assert_eq!(zips(&night.world, "after").len(), 1);
    assert_eq!(night.world.names("share"), Vec::<String>::new(), "nothing was written below the mount point");
    assert_eq!(zips(&night.world, "backups").len(), 2);
}

/// The run with system calls that fail as such file systems have them fail, on these files of the night.
fn poor(night: &Night, names: &[String], inject: &str) -> Run {
    let both = |name: &String| format!("-P {} -P {name}", night.world.path(name).display());
    let paths: Vec<String> = names.iter().map(both).collect();
    let run = night.apart(&format!("exec strace -f -e quiet=all -o trace {} {inject} \"$@\"", paths.join(" ")));
    let trace = std::fs::read_to_string(night.world.path("trace")).expect("a trace");
    assert!(trace.matches("INJECTED").count() >= 2, "{inject}: {trace}");
    run
}

#[test]
fn a_file_system_that_can_little_gets_its_archive_and_loses_none() {
    // A rename that may not overwrite is unknown, and no file has a second name.
    let names = "-e trace=renameat2,link,linkat -e inject=renameat2:error=EINVAL -e inject=link,linkat:error=EPERM";
    // Folders cannot be flushed.
    let flush = "-e trace=fsync -e inject=fsync:error=EINVAL";
    let mut night = Night::new();
    night.edit("app-${{ run.id }}.zip", "tonight.zip");
    for folder in ["backups", "share"] {
        let partials = ["tonight.zip.partial", "tonight.zip.json.partial"].map(|n| format!("{folder}/{n}"));
        for (paths, inject) in [(&partials[..], names), (&[folder.to_owned()][..], flush)] {
            for dir in ["backups", "share"] {
                let _ = std::fs::remove_dir_all(night.world.path(dir));
            }
            std::fs::create_dir(night.world.path("share")).expect("a share");
            poor(&night, paths, inject).ends(0);
            for dir in ["backups", "share"] {
                assert_eq!(night.world.names(dir), ["tonight.zip", "tonight.zip.json"], "{folder}, {inject}");
                let archive = night.world.path(dir).join("tonight.zip");
                as_recorded(&archive).expect("a good archive");
                opens(&archive).expect("7-Zip opens it");
            }
        }
    }
    // A name that is taken while the dump is made is not overwritten there either.
    let mine = [("tonight.zip".to_owned(), b"mine\n".to_vec())];
    std::fs::remove_dir_all(night.world.path("backups")).expect("the archives");
    night.dumper("echo mine > backups/tonight.zip; exec pg_dump \"$@\"");
    let run = poor(&night, &["backups/tonight.zip.partial".to_owned()], names).ends(1);
    run.says("publishing `backups/tonight.zip`").says("exists");
    assert_eq!(bytes(&night.world.path("backups")), mine, "and no record speaks of it");
    // Nor is one that is taken while a copy is made, which waits here for that.
    for dir in ["backups", "share"] {
        std::fs::remove_dir_all(night.world.path(dir)).expect("a folder");
    }
    std::fs::create_dir(night.world.path("share")).expect("a share");
    night.dumper("exec pg_dump \"$@\"");
    let partial = night.world.path("share/tonight.zip.partial").display().to_string();
    let other = "(until [ -e share/tonight.zip.partial ]; do sleep 0.02; done; echo mine > share/tonight.zip) &";
    let slow =
        format!("{other} exec strace -f -e quiet=all -P {partial} -o trace -e inject=fsync:delay_enter=3s \"$@\"");
    night.apart(&slow).ends(1).says("publishing `share/tonight.zip`").says("exists");
    assert_eq!(bytes(&night.world.path("share")), mine, "and no record speaks of it");
}
