//! What every job store promises, as cases that a store passes or panics with a clear message.
//! Each case gets a fresh, empty store. No case waits for time to pass.

mod acceptance;
mod audit;
mod due;
pub mod events;
mod evidence;
mod fence;
mod fixture;
mod leftover;
mod listing;
mod node;
mod orphan;
mod outbox;
mod pace;
mod polling;
pub mod queue;
mod race;
mod rotation;
mod run;
mod token;

use std::pin::Pin;

use nodeyard_engine::{
    event::Outbox, orphan::OrphanStore, rotation::RotationStore, store::RunStore,
};

/// The views of one store.
pub trait Store: RotationStore + RunStore + OrphanStore + Outbox {}

impl<S: RotationStore + RunStore + OrphanStore + Outbox> Store for S {}

/// The cases together are more than a test's stack holds. Out of line, so that none of them is
/// ever on it.
#[inline(never)]
fn on_heap<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}

macro_rules! cases {
    ($fresh:ident: $($module:ident::{$($case:ident),+ $(,)?})+) => {
        $($(
            // Shown only when a case fails: which one it was.
            println!("case {}::{}", stringify!($module), stringify!($case));
            let store = on_heap(|| $fresh()).await;
            on_heap(|| $module::$case(&store)).await;
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
            a_cancel_in_the_instant_of_other_news_is_seen,
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
            news_make_a_job_due,
            news_move_nothing_but_their_time,
            a_job_that_has_ended_takes_no_news,
            a_job_that_has_ended_is_never_due,
        }
        leftover::{
            a_node_is_due_when_its_next_release_is,
            each_time_it_comes_later_until_nothing_is_left,
            a_node_with_an_open_job_is_not_due,
            a_release_that_waited_has_its_turn_first,
            a_node_that_is_taken_is_not_due,
            a_late_server_makes_a_free_node_due,
            a_late_server_waits_for_the_open_job,
            the_longest_due_come_first_and_no_more_than_asked_for,
            due_jobs_and_due_nodes_do_not_mix,
            a_rung_sets_the_price_that_was_accepted,
        }
        polling::{
            only_shared_effects_of_the_connection_are_found,
            the_oldest_come_first_and_no_more_than_asked_for,
            a_commit_puts_a_job_there_and_takes_it_away,
            a_job_that_has_ended_shares_nothing,
            news_and_stamps_of_the_sweep_leave_it_there,
        }
        pace::{
            it_is_as_new_where_nothing_is_stored,
            a_change_is_stored_under_the_next_version,
            a_stale_change_is_refused_and_writes_nothing,
            each_connection_has_its_own,
            it_goes_with_its_connection,
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
        evidence::{
            it_is_written_with_its_commit,
            it_is_whole_and_signed_in_the_end,
            what_is_unsigned_comes_oldest_first,
            a_job_that_goes_on_has_nothing_to_be_signed,
            a_run_keeps_its_own_chain,
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
            a_catalogue_is_shared_until_its_connection_goes,
        }
        orphan::{
            orphans_are_kept_until_forgotten,
            the_orphan_checks_record_is_replaced_only_as_read,
            a_server_is_given_back_to_a_node_that_is_gone,
            a_node_that_lives_is_given_nothing,
        }
        outbox::{
            a_commit_posts_what_it_causes,
            a_commit_that_loses_posts_nothing,
            a_commit_that_did_not_see_the_nodes_status_loses,
            the_oldest_come_first_and_no_more_than_asked_for,
            what_is_forgotten_is_gone,
            a_postponed_event_lets_others_go_first,
            a_late_server_is_told_of_once,
            a_server_that_is_given_back_is_told_of,
            a_new_orphan_is_told_of_once,
            a_connection_and_its_events_are_written_together,
            jobs_nodes_and_events_do_not_mix,
        }
        audit::{
            the_newest_come_first_and_pages_hold_each_once,
            what_comes_meanwhile_moves_no_page,
            entries_are_filtered,
            the_same_entry_is_there_once,
            what_is_in_the_trail_stays_as_it_is,
            a_change_and_its_entry_are_written_together,
            what_is_refused_leaves_no_entry_of_a_change,
            a_cursor_of_another_list_is_refused,
        }
        rotation::{
            it_is_accepted_with_its_connection_and_is_no_job,
            one_that_did_not_see_the_connection_as_it_is_is_refused,
            the_same_request_gives_the_same_rotation,
            a_commit_writes_rotation_connection_and_timeline,
            it_is_listed_among_the_jobs_by_its_time,
            its_evidence_is_written_with_its_commits_and_signed,
            a_commit_that_did_not_see_the_connection_loses,
            flags_and_crashes_are_kept_beside_it,
            the_sweep_finds_it_until_it_has_ended,
            work_that_was_accepted_is_accepted_again_as_itself,
            a_node_s_key_version_is_kept,
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
            one_change_of_the_pace_wins,
            every_change_of_the_pace_is_made_in_the_end,
            a_late_server_and_the_end_of_the_job_leave_a_due_node,
            late_servers_at_once_are_counted_each,
        }
    );
}
