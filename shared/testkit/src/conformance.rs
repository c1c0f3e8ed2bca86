//! What every job store promises, as cases that a store passes or panics with a clear message.
//! Each case gets a fresh, empty store. No case waits for time to pass.

mod acceptance;
mod due;
mod fence;
mod fixture;
mod listing;
mod node;
mod race;
mod run;
mod token;

use nodeyard_engine::store::{ApiStore, JobStore, RunStore};

/// The three views of one store.
pub trait Store: JobStore + RunStore + ApiStore {}

impl<S: JobStore + RunStore + ApiStore> Store for S {}

macro_rules! cases {
    ($fresh:ident: $($module:ident::{$($case:ident),+ $(,)?})+) => {
        $($(
            // Shown only when a case fails: which one it was.
            println!("case {}::{}", stringify!($module), stringify!($case));
            let store = $fresh().await;
            // On the heap: the cases together are more than a test's stack holds.
            Box::pin($module::$case(&store)).await;
        )+)+
    };
}

/// Runs every case, each on a store of its own.
///
/// # Panics
/// When a store breaks a promise.
pub async fn hold<S: Store>(fresh: impl AsyncFn() -> S) {
    cases!(fresh:
        fence::{
            a_job_and_its_node_come_back_as_accepted,
            what_is_not_there_is_none,
            a_commit_writes_job_node_and_timeline,
            a_stale_commit_loses_and_writes_nothing,
            a_commit_that_did_not_see_the_claim_loses,
            a_commit_that_did_not_see_news_loses,
            a_create_is_claimed_once,
            crashes_are_counted_until_a_commit,
            a_job_that_has_ended_never_changes,
            an_oversized_job_is_refused_before_it_is_written,
        }
        node::{
            a_commit_changes_only_what_it_names,
            closing_frees_the_node,
            closing_gives_the_queued_release_its_turn,
            a_release_queued_meanwhile_is_not_lost,
            a_waiting_release_that_ends_leaves_the_open_job_alone,
            one_job_has_a_node,
            a_late_server_goes_to_the_node,
            labels_are_replaced_only_as_expected,
        }
        due::{
            due_jobs_come_oldest_first_and_no_more_than_asked_for,
            due_is_exact_below_the_second,
            a_swept_job_rests_until_its_time,
            a_commit_wakes_a_swept_job,
            a_late_stamp_does_not_hide_a_job_that_has_moved,
            news_show_through_a_stamp,
            a_job_that_has_ended_is_never_due,
        }
        run::{
            a_run_is_written_once,
            a_run_finishes_once_and_that_is_news,
            a_run_may_finish_after_its_job,
            a_stopped_run_is_told_as_it_was,
            a_run_stopped_before_it_was_written_never_starts,
            pins_are_replaced_only_as_expected,
            history_is_appended_without_moving_the_job,
            log_pieces_come_back_in_order,
            an_oversized_log_piece_is_refused,
        }
        acceptance::{
            the_same_request_gives_the_same_job,
            another_body_under_the_key_is_refused,
            another_key_means_nothing,
            a_busy_node_takes_no_other_work,
            a_release_may_wait_and_only_one,
            a_repeated_request_is_no_rival_of_itself,
            a_node_that_is_not_there_takes_no_work,
            cancelling_sets_flag_and_news,
            cancelling_honours_the_version,
        }
        listing::{
            pages_hold_everything_once,
            nodes_are_filtered,
            jobs_are_filtered,
            a_filter_that_matches_nothing_gives_an_empty_last_page,
            timeline_and_log_are_paged,
            a_cursor_that_cannot_be_read_is_refused,
            connections_are_kept_by_name,
        }
        token::{
            a_token_is_found_by_its_hash_until_it_is_deleted,
            there_is_one_first_admin,
        }
        race::{
            one_claim_wins,
            one_commit_wins,
            one_acceptance_wins_a_node,
            one_result_wins,
            one_first_admin_wins,
            the_same_request_twice_at_once_is_one_job,
        }
    );
}
