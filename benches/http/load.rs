//! A closed loop: each of a few callers sends its next request, or runs its next statement, when the one before is done.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Incoming;

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
    pub callers: usize,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// Runs `work` over and over, a thread for each caller, with what `begin` made for it; the warm-up doesn't count.
pub fn run<S>(pace: Pace, begin: impl Fn() -> S + Sync, work: impl Fn(&mut S, &mut StdRng) + Sync) -> Measured {
    let (counting, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let ready = Barrier::new(pace.callers + 1);
    let (times, seconds) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..pace.callers)
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
        time(pace, &counting, &over, threads)
    });
    measured(times, seconds)
}

/// Sends what `make` makes to the service. The callers share two threads, as pgbench's do in what this is compared with:
/// a thread for each would cost the machine a third of what the service does.
pub fn requests(pace: Pace, address: &str, status: u16, make: impl Fn(&mut StdRng) -> Vec<u8> + Sync) -> Measured {
    const THREADS: usize = 2;
    let (counting, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let ready = Barrier::new(THREADS.min(pace.callers) + 1);
    let (times, seconds) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(pace.callers))
            .map(|thread| {
                let (counting, over, ready, make) = (&counting, &over, &ready, &make);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
                    ready.wait();
                    let callers = (thread..pace.callers).step_by(THREADS).map(|number| async move {
                        let mut random = StdRng::seed_from_u64(number as u64);
                        let mut stream = TcpStream::connect(address).await.expect("the server listens");
                        stream.set_nodelay(true).expect("a setting");
                        let mut incoming = Incoming::default();
                        let mut buffer = vec![0; 64 * 1024];
                        let mut times = Vec::with_capacity(100_000);
                        while !over.load(Ordering::Relaxed) {
                            let request = make(&mut random);
                            let begun = Instant::now();
                            stream.write_all(&request).await.expect("sent");
                            let answer = loop {
                                if let Some(answer) = incoming.take().expect("an answer") {
                                    break answer;
                                }
                                let read = stream.read(&mut buffer).await.expect("an answer");
                                incoming.add(&buffer[..read]).expect("an answer");
                            };
                            if counting.load(Ordering::Relaxed) {
                                times.push(begun.elapsed());
                            }
                            answer.expect(status);
                        }
                        times
                    });
                    runtime.block_on(futures_util::future::join_all(callers)).concat()
                })
            })
            .collect();
        ready.wait();
        time(pace, &counting, &over, threads)
    });
    measured(times, seconds)
}

/// Lets the callers go on for as long as is measured, and collects what they measured.
fn time(
    pace: Pace,
    counting: &AtomicBool,
    over: &AtomicBool,
    threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<Duration>>>,
) -> (Vec<Duration>, f64) {
    std::thread::sleep(pace.warm_up);
    counting.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    std::thread::sleep(pace.measured);
    over.store(true, Ordering::Relaxed);
    let seconds = begun.elapsed().as_secs_f64();
    (threads.into_iter().flat_map(|thread| thread.join().expect("a thread that ends by itself")).collect(), seconds)
}

/// What came of so many answers in so many seconds.
pub fn measured(mut times: Vec<Duration>, seconds: f64) -> Measured {
    times.sort_unstable();
    let at = |part: f64| {
        let place = (times.len() as f64 * part) as usize;
        times.get(place.min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    };
    Measured { per_second: times.len() as f64 / seconds, p50: at(0.50), p99: at(0.99) }
}
