//! Spread placement groups: what the provider lists goes before what the jobs counted.

use std::collections::BTreeSet;

use nodeyard_domain::{
    orphan::GroupSeen,
    pace::{GROUP_SIZE, Pace, SpreadGroup},
};

/// A group as it was listed: its id and how many servers are in it.
pub(super) type ListedGroup = (u64, u32);

/// Corrects the groups that the connection's jobs share by a listing. `before` are the ones they
/// shared before the listing was made, `earlier` is what the check before this one saw. True when
/// something has changed.
///
/// A job takes its place before its server is made, so a listing alone cannot tell a place that
/// is free from one that is taken and not used yet. Places are given back only when a whole period
/// between two checks has moved neither number. A place that is held for longer (by a job that is
/// parked) may be given away: the create is then refused, and the job takes another group.
pub(super) fn refresh(
    pace: &mut Pace,
    before: &BTreeSet<u64>,
    listed: &[ListedGroup],
    earlier: &[GroupSeen],
) -> bool {
    let unchanged = pace.groups.clone();
    // A group that was made since is not in the listing and stays.
    let is_listed = |id: u64| listed.iter().any(|(known, _)| *known == id);
    pace.groups.retain(|group| is_listed(group.id) || !before.contains(&group.id));
    for &(id, servers) in listed {
        let places = GROUP_SIZE.saturating_sub(servers);
        match pace.groups.iter_mut().find(|group| group.id == id) {
            Some(group) => {
                let seen = GroupSeen { id, servers, free: group.free };
                if group.free > places || earlier.contains(&seen) {
                    group.free = places;
                }
            }
            // Known to nobody any more, and in use.
            None if servers > 0 && places > 0 => {
                pace.groups.push(SpreadGroup { id, free: places });
            }
            None => {}
        }
    }
    pace.groups != unchanged
}

/// What the next check compares with.
pub(super) fn seen(pace: &Pace, listed: &[ListedGroup]) -> Vec<GroupSeen> {
    let free = |id| pace.groups.iter().find(|group| group.id == id).map_or(0, |group| group.free);
    listed.iter().map(|&(id, servers)| GroupSeen { id, servers, free: free(id) }).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn pace(groups: &[(u64, u32)]) -> Pace {
        let mut pace = Pace::new(Timestamp::UNIX_EPOCH);
        pace.groups = groups.iter().map(|&(id, free)| SpreadGroup { id, free }).collect();
        pace
    }

    fn refreshed(shared: &[(u64, u32)], before: &[u64], listed: &[ListedGroup]) -> Vec<(u64, u32)> {
        let mut pace = pace(shared);
        refresh(&mut pace, &before.iter().copied().collect(), listed, &[]);
        pace.groups.iter().map(|group| (group.id, group.free)).collect()
    }

    #[test]
    fn a_listing_takes_places_away_and_never_gives_them_back_at_once() {
        assert_eq!(refreshed(&[(1, 9)], &[1], &[(1, 4)]), [(1, 6)]);
        assert_eq!(refreshed(&[(1, 9)], &[1], &[(1, 12)]), [(1, 0)]);
        // Eight servers are on their way, or gone: not to be told apart yet.
        assert_eq!(refreshed(&[(1, 1)], &[1], &[(1, 1)]), [(1, 1)]);
    }

    #[test]
    fn places_come_back_when_nothing_has_moved_for_a_period() {
        let mut pace = pace(&[(1, 1)]);
        let earlier = seen(&pace, &[(1, 3)]);
        assert!(!refresh(&mut pace.clone(), &[1].into(), &[(1, 4)], &earlier), "one has come");
        let mut taken = pace.clone();
        taken.groups[0].free = 0;
        assert!(!refresh(&mut taken, &[1].into(), &[(1, 3)], &earlier), "one was taken");
        assert!(refresh(&mut pace, &[1].into(), &[(1, 3)], &earlier));
        assert_eq!(pace.groups[0].free, 7);
    }

    #[test]
    fn groups_that_are_gone_are_dropped_and_new_ones_stay() {
        assert_eq!(refreshed(&[(1, 5), (2, 9)], &[1], &[]), [(2, 9)]);
        // Of groups that nobody knows only those with servers come back.
        assert_eq!(refreshed(&[], &[], &[(3, 4), (4, 0), (5, 10)]), [(3, 6)]);
        assert!(!refresh(&mut pace(&[]), &[].into(), &[], &[]));
    }
}
