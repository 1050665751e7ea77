//! Percentiles of latencies that were counted in buckets.

use crate::metrics::LATENCY_BUCKETS;

/// Returns the latency, in milliseconds, that a share of the deliveries did not exceed; `None` if there were none.
///
/// `counts` has the deliveries of each bucket, and then those that took longer than the last bound. Within a bucket they
/// are taken to be spread evenly, as Prometheus does.
pub fn percentile(counts: &[u64], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = share * total as f64;
    let (mut below, mut lower) = (0.0, 0.0);
    for (count, upper) in counts.iter().zip(LATENCY_BUCKETS) {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            return Some((lower + (upper - lower) * (wanted - below) / count) * 1000.0);
        }
        below += count;
        lower = *upper;
    }
    Some(lower * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated_within_a_bucket() {
        let mut counts = vec![0; LATENCY_BUCKETS.len() + 1];
        assert_eq!(percentile(&counts, 0.5), None);
        counts[3] = 100; // from 0.5 to 1 ms
        assert_eq!(percentile(&counts, 0.5), Some(0.75));
        counts[4] = 100; // from 1 to 2.5 ms
        assert_eq!(percentile(&counts, 0.5), Some(1.0));
        assert!((percentile(&counts, 0.99).unwrap() - 2.47).abs() < 1e-9);
        *counts.last_mut().unwrap() = 1000;
        assert_eq!(percentile(&counts, 0.99), Some(10_000.0), "not known better than the last bound");
    }
}
