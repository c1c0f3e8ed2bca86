//! The bus in memory: each fault does what its name says.

use nodeyard_domain::{
    event::{Change, Event, VERSION},
    id::EventId,
};
use nodeyard_engine::event::Events as _;
use nodeyard_testkit::{
    events::MemoryEvents,
    faults::{Fault, Faults},
    pause::run_to_end,
};

fn event(bits: u128) -> Event {
    let (answer, difference) = ("Server".to_owned(), "at name".to_owned());
    let change = Change::ApiDrift { connection: "main".parse().unwrap(), answer, difference };
    let at = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    Event { version: VERSION, id: EventId::from_bits(bits), at, change }
}

#[test]
fn it_fails_with_and_without_effect_and_for_one_alone() {
    for (fault, told, taken) in [
        (None, [true, true], 2),
        (Some(Fault::EventsUnanswered), [false, false], 0),
        (Some(Fault::EventsAnswerLost), [false, false], 2),
        (Some(Fault::EventRefused), [false, true], 1),
    ] {
        let faults = Faults::none();
        let bus = MemoryEvents::default();
        fault.into_iter().for_each(|fault| faults.once(fault));
        let put = run_to_end(bus.with(faults).put(&[event(1), event(2)]));
        let put: Vec<bool> = put.iter().map(Result::is_ok).collect();
        assert_eq!((put.as_slice(), bus.received().len()), (told.as_slice(), taken), "{fault:?}");
        assert_eq!(bus.calls(), 1);
    }
}
