//! Takes over a renewed certificate without a restart: the files are looked at every few seconds and on SIGHUP.
//!
//! All or nothing: a pair that does not fit leaves the one before in place, and is said once, in log and trail.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tls::{self, Tls};
use crate::ambient::Timestamp;
use crate::app::App;
use crate::config::certificate::{self, Pair, TlsFiles};
use crate::domain::event::{Event, EventCode};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// The end of a certificate is announced so long before, or in the last fifth of its life where that is shorter.
const ANNOUNCED: Duration = Duration::from_secs(14 * 86_400);

/// And again after this long; failed handshakes are summed up more often.
const AGAIN: Duration = Duration::from_secs(86_400);
const SUMMED_UP: Duration = Duration::from_secs(60);

/// Keeps the certificate of `tls` the one in `files`.
pub struct Renewal {
    /// What serves it.
    pub tls: Arc<Tls>,
    /// Where it comes from.
    pub files: TlsFiles,
    /// The pair that was read at the start.
    pub pair: Pair,
}

/// What tells one state of the files from another.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Renewal {
    /// Looks at the files until `stop`, and at once where a reload is asked for.
    pub async fn keep(mut self, app: Arc<App>, reload: Arc<Notify>, stop: CancellationToken) {
        tls::note_end(self.pair.ends);
        let mut seen = self.stamp();
        let (mut announced, mut summed_up) = (None::<Instant>, Instant::now());
        loop {
            if announced.is_none_or(|at| at.elapsed() >= AGAIN) && self.ends_soon(app.now()) {
                announced = Some(Instant::now());
                self.announce(&app).await;
            }
            if summed_up.elapsed() >= SUMMED_UP {
                summed_up = Instant::now();
                let failures = self.tls.failures();
                if failures > 0 {
                    tracing::info!(failures, "TLS handshakes failed in the last minute");
                }
            }
            let told = tokio::select! {
                () = stop.cancelled() => return,
                () = reload.notified() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            let stamp = self.stamp();
            if told || stamp != seen {
                seen = stamp;
                if self.renew(&app).await {
                    announced = None;
                }
            }
        }
    }

    /// Whether another certificate is served now.
    async fn renew(&mut self, app: &App) -> bool {
        match certificate::read(&self.files, app.now()) {
            Ok(pair) => {
                self.tls.current.replace(pair.certified.clone());
                self.pair = pair;
                tls::note_end(self.pair.ends);
                let event = Event::new(EventCode::CertificateReplaced);
                app.audit.note(event.detail("not_after", self.pair.ends.rfc3339())).await;
                self.warn_of_name(app);
                true
            }
            Err((key, wrong)) => {
                tracing::warn!(
                    key,
                    code = wrong.code,
                    why = wrong.why,
                    fix = wrong.fix,
                    "the certificate before stays"
                );
                let event = Event::new(EventCode::CertificateRefused).refused();
                app.audit.note(event.because(wrong.code).detail("key", key)).await;
                false
            }
        }
    }

    fn warn_of_name(&self, app: &App) {
        let host = app.config.server.public_url.host_str().unwrap_or_default();
        if !self.pair.covers(host) {
            tracing::warn!(host, "the certificate does not name the host of the public URL");
        }
    }

    fn ends_soon(&self, now: Timestamp) -> bool {
        now.plus(ANNOUNCED.min(self.pair.lifetime / 5)) >= self.pair.ends
    }

    async fn announce(&self, app: &App) {
        let ends = self.pair.ends.rfc3339();
        tracing::warn!(
            not_after = ends,
            "the TLS certificate ends soon: renew it in place, it is taken over by itself"
        );
        app.audit.note(Event::new(EventCode::CertificateExpires).detail("not_after", ends)).await;
    }

    fn stamp(&self) -> Stamp {
        [stamp(&self.files.certificate), stamp(&self.files.key)]
    }
}

/// Follows links, as renewal by certbot or Kubernetes moves them.
fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
