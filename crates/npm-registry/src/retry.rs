//! When a failed request is repeated, and after which pause.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::Problem;
use super::options::Timeouts;

/// Pauses do not grow beyond this.
const LONGEST: Duration = Duration::from_secs(10);

/// A request that will be repeated, for the watcher.
#[derive(Debug)]
pub struct Retry<'a> {
    /// The requested URL, without secrets.
    pub url: &'a str,
    /// How many attempts were made.
    pub attempts: u32,
    /// The pause before the next one.
    pub pause: Duration,
    /// Whether the server asked for this pause, of everybody, and this is the first to hear of it.
    pub shared: bool,
    /// Why the last one failed.
    pub problem: &'a Problem,
}

/// Whether asking again can help with this status.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error()
}

/// Whether the server says that it has too much to do.
pub(super) fn is_overload(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// The pause a server asks for: seconds, or an HTTP date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date that has passed asks for no pause.
    Some(date.duration_since(now).unwrap_or_default())
}

/// The pause before the next attempt, after `failed` failed ones: it doubles each time, and between half and all of it is
/// taken at random, so that many clients do not come back together.
pub(super) fn pause(timeouts: &Timeouts, failed: u32) -> Duration {
    // The shift is bounded because it would overflow; by then all pauses are the longest one.
    let doubled = timeouts.backoff.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST);
    doubled.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let timeouts = Timeouts::default();
        for (failed, longest) in [(1, 250), (2, 500), (3, 1000), (9, 10_000), (4_000_000, 10_000)] {
            let pause = pause(&timeouts, failed).as_millis();
            assert!(pause <= longest && pause * 2 >= longest - 1, "{failed}: {pause}");
        }
    }
}
