//! A closed loop: each of a few threads sends its next request, or runs its next statement, when the one before is done.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What came out of a measurement. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
}

/// How long and by how many.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub threads: usize,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// Runs `work` over and over on each thread with what `begin` made for it; the warm-up doesn't count.
pub fn run<S>(pace: Pace, begin: impl Fn() -> S + Sync, work: impl Fn(&mut S, &mut StdRng) + Sync) -> Measured {
    let (counting, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let ready = Barrier::new(pace.threads + 1);
    let (times, seconds) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..pace.threads)
            .map(|number| {
                let (counting, over, ready, begin, work) = (&counting, &over, &ready, &begin, &work);
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(number as u64);
                    let mut state = begin();
                    let mut times = Vec::with_capacity(100_000);
                    ready.wait();
                    while !over.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        work(&mut state, &mut random);
                        if counting.load(Ordering::Relaxed) {
                            times.push(begun.elapsed());
                        }
                    }
                    times
                })
            })
            .collect();
        ready.wait();
        std::thread::sleep(pace.warm_up);
        counting.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        std::thread::sleep(pace.measured);
        over.store(true, Ordering::Relaxed);
        let mut times: Vec<Duration> = Vec::new();
        for thread in threads {
            times.extend(thread.join().expect("a thread that ends by itself"));
        }
        (times, begun.elapsed().as_secs_f64())
    });
    measured(times, seconds)
}

fn measured(mut times: Vec<Duration>, seconds: f64) -> Measured {
    times.sort_unstable();
    let at = |part: f64| {
        let place = (times.len() as f64 * part) as usize;
        times.get(place.min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    };
    Measured { per_second: times.len() as f64 / seconds, p50: at(0.50), p99: at(0.99) }
}
