//! What Prometheus reads at `/metrics`.

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntGauge, Opts, Registry, TextEncoder};

pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = HistogramVec::new(
            HistogramOpts::new("yiyong_http_request_seconds", "Time from the head of a request to its answer")
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]),
            &["method", "route", "status"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let started = IntGauge::with_opts(Opts::new("yiyong_start_time_seconds", "When this server started, in Unix time"))?;
        started.set(chrono::Utc::now().timestamp());
        registry.register(Box::new(started))?;
        Ok(Self { registry, requests })
    }

    pub fn record(&self, method: &str, route: &str, status: u16, seconds: f64) {
        // An unknown method would let a caller make as many series as it likes.
        let method = if ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD", "PUT"].contains(&method) { method } else { "other" };
        self.requests.with_label_values(&[method, route, &status.to_string()]).observe(seconds);
    }

    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }
}
