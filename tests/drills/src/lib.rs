//! Drills of the whole engine over simulated ports: the crash matrix, whole simulated worlds, and
//! planted defects that both must catch.

pub mod calls;
pub mod coverage;
pub mod defects;
pub mod executor;
pub mod matrix;
pub mod parallel;
pub mod random;
pub mod simulation;
pub mod stage;

/// Panics that a drill plants are told nowhere; others are told as ever.
pub fn quiet_planted_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_planted = panic.payload_as_str().is_some_and(|text| text.contains("planted"));
        if !is_planted {
            told(panic);
        }
    }));
}
