use nodeyard_model::{scenario::Scenario, world::World};
use stateright::Model;
use std::collections::*;
use std::hash::{Hash, Hasher};
fn fp(w: &World) -> u64 {
    let mut h = std::hash::DefaultHasher::new();
    w.hash(&mut h);
    h.finish()
}
fn main() {
    let s = Scenario::all(0).remove(1);
    let mut seen = HashSet::new();
    let mut layer: Vec<World> = s.init_states();
    for d in 0..200 {
        let mut next = vec![];
        for w in &layer {
            let mut a = vec![];
            s.actions(w, &mut a);
            for x in a {
                if let Some(n) = s.next_state(w, x) {
                    if seen.insert(fp(&n)) {
                        next.push(n);
                    }
                }
            }
        }
        layer = next;
        if d % 10 == 9 || layer.is_empty() {
            let mut m: BTreeMap<String, usize> = BTreeMap::new();
            for w in &layer {
                let j = &w.jobs[0];
                *m.entry(format!("{:?} {:?} {:?} workers {} queue {} runs {:?} att {} posts {} news {} crashes {}",j.state,j.phase,j.step,w.workers.len(),w.queue.len(),w.runs.len(),j.attempt,w.posts.len(),w.news,j.crashes)).or_default()+=1;
            }
            println!("depth {d} layer {} total {}", layer.len(), seen.len());
            let mut v: Vec<_> = m.into_iter().collect();
            v.sort_by_key(|x| std::cmp::Reverse(x.1));
            for (k, c) in v.iter().take(6) {
                println!("   {c} {k}");
            }
        }
        if layer.is_empty() || seen.len() > 300000 {
            for w in layer.iter().take(1) {
                println!("{w:#?}");
            }
            break;
        }
    }
}
