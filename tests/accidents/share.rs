//! The second folder that is not mounted.

use crate::night::{Night, as_recorded, bytes, zips};

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
