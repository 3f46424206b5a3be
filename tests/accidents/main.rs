//! The accidents that cost others their backups, done on purpose. Run by `tests/sandbox cargo test --test accidents`.
//!
//! | accident | tests |
//! | --- | --- |
//! | the dump fails and the job says success | `dumper`, all of it; `tests/pg_dump.rs`: `a_pg_dump_that_misbehaves_leaves_no_file_and_runs_the_handler` |
//! | the disk fills | `disk`, all of it |
//! | a crash leaves a file that looks good | `kill::killed_two_hundred_times_it_leaves_no_bad_archive_and_loses_no_good_one` |
//! | retention by age empties the folder while dumps fail | `month::in_thirty_nights_of_failures_no_archive_is_lost` |
//! | failed or empty backups fill the places | `month::bad_newer_files_never_push_good_older_ones_out` |
//! | the purge reaches another's files | `month::a_name_that_begins_like_another_is_another`; `tests/executors/retention.rs`: `what_is_not_surely_an_archive_of_this_database_is_not_counted_and_not_touched` |
//! | the newest goes because order came from the name or the clock | `month::the_time_in_the_record_decides_and_nothing_else`, `month::the_hour_that_the_clock_shows_twice_loses_nothing`, `month::two_runs_in_one_second_have_two_archives_and_the_order_of_their_moments`, `month::a_clock_that_was_ahead_costs_no_archive_that_is_made_after_it_was_set_right` |
//! | encryption turned itself off | `src/archive/tests.rs`: `encryption_without_a_password_writes_nothing`; `tests/run.rs`: `a_secret_is_seen_nowhere_and_a_missing_one_exits_77`; `tests/executors/zip.rs`: `what_names_nothing_or_has_no_password_makes_nothing` |
//! | the archive cannot be opened | `src/archive/tests.rs`: `another_reader_gets_the_same_bytes_at_every_size`; `tests/pg_dump.rs`: `the_archive_opens_with_three_foreign_readers_and_restores_to_the_same_rows` |
//! | a secret in the process list or a log | `secrets::what_a_program_prints_of_its_secrets_is_seen_nowhere_in_no_encoding`; `tests/executors/nightly.rs`: the seven nights |
//! | `pg_dump` older than the server | `tests/pg_dump.rs`: `a_pg_dump_older_than_the_server_is_refused_with_both_versions` |
//! | a blocked dump hangs and runs pile up | `server::a_dump_behind_a_lock_gives_up_in_time_and_meanwhile_a_second_run_says_who_is_at_it` |
//! | the connection is cut | `server`, the three of the proxy |
//! | the second folder is not mounted | `share::a_share_that_is_not_mounted_gets_nothing_and_loses_nothing_and_the_night_fails` |
//! | the alert fails exactly then | `alert`, all of it; `disk::with_no_space_anywhere_the_mail_still_goes`; `tests/email.rs`: `the_alert_goes_whatever_failed` |
//! | an hour of work before a dump that cannot be | `preflight`, all of it |
//! | VACUUM lies or hurts | `tests/executors/vacuum.rs`, `tests/vacuum.rs`; `server::a_connection_cut_during_vacuum_fails_that_step_and_is_recorded_nowhere` |
//! | restore or verify says success and restored nothing | `tests/executors/proof.rs`: `what_was_lost_on_the_way_is_named`, `no_flipped_bit_goes_unnoticed` |

mod alert;
mod disk;
mod dumper;
mod kill;
mod month;
mod night;
mod preflight;
mod secrets;
mod server;
mod share;
#[path = "../smtp/mod.rs"]
#[expect(dead_code, reason = "the tests of mail use the rest")]
mod smtp;
#[path = "../executors/world.rs"]
mod world;
